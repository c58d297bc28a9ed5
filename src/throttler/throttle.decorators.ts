import { Throttle } from '@nestjs/throttler';
import 'reflect-metadata';

/** Says that a handler has the strict limit of the options instead of a number of its own. */
export const STRICT_MARK = Symbol('nestjs-zero-trust:throttle-strictly');

/**
 * Gives a handler the strict limit per source (`strictRequests` in `strictWindowSeconds`, by default 5 a minute):
 * for sign-in, recovery and everything else that guesses can be made against (ASVS 6.3.1). It limits the source;
 * to limit the account as well, consume a key of the account with `ThrottlingService`.
 *
 * @throws TypeError when it stands on a class.
 */
export function ThrottleStrictly(): MethodDecorator {
  // For a ThrottlerGuard of the host: the kit's own stage takes the numbers from the options.
  const stock = Throttle({ default: { limit: 5, ttl: 60_000 } });
  return (target, key, descriptor) => {
    // On a class there is no descriptor at all, whatever the type says.
    if ((descriptor as unknown) === undefined || typeof descriptor.value !== 'function') {
      throw new TypeError(`@ThrottleStrictly() belongs on a method (${String(key)}).`);
    }
    Reflect.defineMetadata(STRICT_MARK, true, descriptor.value);
    stock(target, key, descriptor);
  };
}
