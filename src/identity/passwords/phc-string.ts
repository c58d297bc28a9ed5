/** What one hash costs: memory in KiB, passes, lanes (RFC 9106). */
export interface Argon2Parameters {
  readonly memoryKib: number;
  readonly iterations: number;
  readonly parallelism: number;
}

/** Exactly what this kit writes: argon2id, version 19, 16 bytes of salt, 32 bytes of hash, base64 without padding. */
const PHC =
  /^\$argon2id\$v=19\$m=([1-9][0-9]{0,9}),t=([1-9][0-9]{0,9}),p=([1-9][0-9]{0,2})\$[A-Za-z0-9+/]{22}\$[A-Za-z0-9+/]{43}$/;

/**
 * Reads the parameters of a stored hash, without computing anything.
 *
 * @returns undefined when the text is no hash that this kit could have written.
 */
export function parametersOf(phc: string): Argon2Parameters | undefined {
  const [, memory, iterations, parallelism] = PHC.exec(phc) ?? [];
  if (memory === undefined || iterations === undefined || parallelism === undefined) return undefined;
  return {
    memoryKib: Number(memory),
    iterations: Number(iterations),
    parallelism: Number(parallelism),
  };
}

/** Whether every one of the `presented` costs is at most the one of `ceiling`. */
export function isWithinCost(presented: Argon2Parameters, ceiling: Argon2Parameters): boolean {
  return (
    presented.memoryKib <= ceiling.memoryKib &&
    presented.iterations <= ceiling.iterations &&
    presented.parallelism <= ceiling.parallelism
  );
}

/** Whether a hash with the `stored` parameters should be made anew: it is weaker than `current` in some respect. */
export function isOutdated(stored: Argon2Parameters, current: Argon2Parameters): boolean {
  return !isWithinCost(current, stored);
}

/** A hash that no password matches, as costly to verify as a real one of these parameters. */
export function unmatchableHash(parameters: Argon2Parameters, salt: Buffer, hash: Buffer): string {
  const { memoryKib, iterations, parallelism } = parameters;
  const encoded = [salt, hash].map((bytes) => bytes.toString('base64').replaceAll('=', ''));
  return `$argon2id$v=19$m=${memoryKib},t=${iterations},p=${parallelism}$${encoded.join('$')}`;
}
