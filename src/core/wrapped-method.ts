/**
 * Makes `wrapper` pass for the method that it stands for: its name, its length, and all that decorators wrote on it, the
 * policy included. What is written on it later is written on the wrapper, which is what Nest reads and calls.
 */
export function wrapped<Wrapper extends (...given: never[]) => unknown>(
  method: (...given: never[]) => unknown,
  wrapper: Wrapper,
): Wrapper {
  for (const key of Reflect.getOwnMetadataKeys(method)) {
    Reflect.defineMetadata(key, Reflect.getOwnMetadata(key, method), wrapper);
  }
  for (const key of ['name', 'length'] as const) {
    Object.defineProperty(wrapper, key, { value: method[key], configurable: true });
  }
  return wrapper;
}
