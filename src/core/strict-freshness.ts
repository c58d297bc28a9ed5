const STRICT_FRESHNESS = Symbol('nestjs-zero-trust:strict-freshness');

/**
 * Lets a handler ask the database, on every request, whether its caller's session is alive, where others trust what
 * was confirmed less than a second ago: for what must not be done even in that second. Costs one read.
 */
export function StrictFreshness(): <T>(
  target: object,
  key: string | symbol,
  descriptor: TypedPropertyDescriptor<T>,
) => void {
  return (_target, key, descriptor) => {
    if ((descriptor as unknown) === undefined || typeof descriptor.value !== 'function') {
      throw new TypeError(
        `@StrictFreshness() belongs on a method, not on a class or property (${String(key)}).`,
      );
    }
    Reflect.defineMetadata(STRICT_FRESHNESS, true, descriptor.value);
  };
}

const compiled = new WeakMap<object, boolean>();

/** Whether a handler was marked so; read from the handler itself. */
export function isStrictlyFresh(handler: object): boolean {
  let strict = compiled.get(handler);
  if (strict === undefined) {
    strict = Reflect.getOwnMetadata(STRICT_FRESHNESS, handler) === true;
    compiled.set(handler, strict);
  }
  return strict;
}
