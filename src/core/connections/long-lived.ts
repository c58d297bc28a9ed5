import { SSE_METADATA } from '@nestjs/common/constants.js';

const LONG_LIVED = Symbol('nestjs-zero-trust:long-lived');

/**
 * Says that the answer of a handler may stay open: a large download, a long poll, a stream that it writes itself. While
 * it is open its caller is judged again, and it is ended when they are refused (ASVS 7.4.1). `@Sse()` needs no mark.
 *
 * @throws TypeError on a class or property.
 */
export function LongLived(): <T>(
  target: object,
  key: string | symbol,
  descriptor: TypedPropertyDescriptor<T>,
) => void {
  return (_target, key, descriptor) => {
    if ((descriptor as unknown) === undefined || typeof descriptor.value !== 'function') {
      throw new TypeError(`@LongLived() belongs on a method, not on a class or property (${String(key)}).`);
    }
    Reflect.defineMetadata(LONG_LIVED, true, descriptor.value);
  };
}

/** Whether the answer of a handler outlives the judgement of its request; read from the handler itself. */
export function isLongLived(handler: object): boolean {
  return (
    Reflect.getOwnMetadata(LONG_LIVED, handler) === true || Reflect.hasOwnMetadata(SSE_METADATA, handler)
  );
}
