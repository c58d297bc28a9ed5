import { availableParallelism } from 'node:os';
import { BootError } from '../core/zero-trust-error.js';

/** Who. Every option left out is the strict choice. */
export interface IdentityOptions {
  /**
   * The fewest characters (code points) of a new password, 8 to 64: 15 is what NIST SP 800-63B-4 asks of a password
   * that is the only factor; 8 is the least that ASVS 6.2.1 allows.
   * @default 15
   */
  readonly minPasswordLength?: number;
  /** What the product is called: no password may contain a word of it (ASVS 6.2.11). @default none */
  readonly productName?: string;
  /**
   * Further words that no password may contain, besides those of its account: the organisation's name, the place.
   * Four characters or more each.
   * @default []
   */
  readonly contextWords?: readonly string[];
  /**
   * Memory of one Argon2id hash in KiB, 19,456 (OWASP) to 262,144. Raising it, like the next two, makes a stored
   * hash anew at the next sign-in of its account.
   * @default 19456
   */
  readonly argonMemoryKib?: number;
  /** Passes of Argon2id, 2 (OWASP) to 10. @default 2 */
  readonly argonIterations?: number;
  /** Lanes of Argon2id, 1 to 4. @default 1 */
  readonly argonParallelism?: number;
  /**
   * Hashes computed at once, fewer than libuv has threads (4, or `UV_THREADPOOL_SIZE`): file and DNS calls need some too.
   * @default processors - 1, at least 1 and at most 3
   */
  readonly hashConcurrency?: number;
  /** Hashes that may wait for their turn, 1 to 1,000; beyond, sign-in answers 503 with `Retry-After`. @default 32 */
  readonly hashQueueLimit?: number;
  /** Sign-in attempts on one account from one source within `sourceAttemptsWindowSeconds`. @default 10 */
  readonly sourceAttempts?: number;
  /** @default 900 */
  readonly sourceAttemptsWindowSeconds?: number;
  /**
   * Sign-in attempts on one account from all sources together within `accountAttemptsWindowSeconds`; a source from
   * which the account signed in lately is not held to it (NIST SP 800-63B 3.2.2: at most 100 in a row).
   * @default 100
   */
  readonly accountAttempts?: number;
  /** @default 3600 */
  readonly accountAttemptsWindowSeconds?: number;
}

/** The options with every default filled in. */
export type IdentitySettings = Required<IdentityOptions>;

export const IDENTITY_SETTINGS = Symbol('nestjs-zero-trust:identity-settings');

/** Nobody who lost a limit to an attacker waits longer for the next attempt (ASVS 6.1.1). */
const LONGEST_LOCK_SECONDS = 900;

type NumericOption = Exclude<keyof IdentityOptions, 'contextWords' | 'productName'>;

const RANGES: Readonly<Record<NumericOption, readonly [lowest: number, highest: number]>> = {
  minPasswordLength: [8, 64],
  argonMemoryKib: [19_456, 262_144],
  argonIterations: [2, 10],
  argonParallelism: [1, 4],
  hashConcurrency: [1, 63],
  hashQueueLimit: [1, 1_000],
  sourceAttempts: [1, 1_000],
  sourceAttemptsWindowSeconds: [1, 86_400],
  accountAttempts: [1, 10_000],
  accountAttemptsWindowSeconds: [1, 86_400],
};

const DEFAULTS: Omit<IdentitySettings, 'hashConcurrency'> = {
  minPasswordLength: 15,
  productName: '',
  contextWords: [],
  argonMemoryKib: 19_456,
  argonIterations: 2,
  argonParallelism: 1,
  hashQueueLimit: 32,
  sourceAttempts: 10,
  sourceAttemptsWindowSeconds: 900,
  accountAttempts: 100,
  accountAttemptsWindowSeconds: 3_600,
};

/** Fills in the defaults. @throws BootError that names every option that is out of range. */
export function resolveIdentityOptions(given: IdentityOptions): IdentitySettings {
  const chosen = Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined));
  const hashConcurrency = Math.max(1, Math.min(availableParallelism() - 1, 3));
  const settings = { ...DEFAULTS, hashConcurrency, ...chosen } as IdentitySettings;
  const faults = Object.keys(chosen)
    .filter((name) => !['contextWords', 'productName'].includes(name) && !Object.hasOwn(RANGES, name))
    .map((name) => `unknown option "${name}": remove it or correct its spelling`);
  for (const [name, [lowest, highest]] of Object.entries(RANGES) as [NumericOption, [number, number]][]) {
    const value = settings[name];
    if (!Number.isInteger(value) || value < lowest || value > highest) {
      faults.push(`${name} must be a whole number from ${lowest} to ${highest}`);
    }
  }
  if (typeof settings.productName !== 'string') faults.push('productName must be a text');
  faults.push(...contextFaults(settings.contextWords), ...threadFaults(settings), ...lockFaults(settings));
  if (faults.length > 0) throw new BootError('IdentityModule', faults);
  return settings;
}

function contextFaults(words: unknown): string[] {
  const valid =
    Array.isArray(words) && words.every((word) => typeof word === 'string' && Array.from(word).length >= 4);
  return valid ? [] : ['contextWords must be a list of words of four characters or more'];
}

function threadFaults({ hashConcurrency }: IdentitySettings): string[] {
  const threads = Number(process.env.UV_THREADPOOL_SIZE ?? 4);
  return hashConcurrency === 1 || hashConcurrency < threads
    ? []
    : [
        `hashConcurrency must be lower than libuv's threads (${threads}): lower it or raise UV_THREADPOOL_SIZE`,
      ];
}

function lockFaults(settings: IdentitySettings): string[] {
  return (['source', 'account'] as const)
    .filter(
      (kind) => settings[`${kind}AttemptsWindowSeconds`] / settings[`${kind}Attempts`] > LONGEST_LOCK_SECONDS,
    )
    .map(
      (kind) =>
        `${kind}Attempts lets the next attempt wait for more than 15 minutes: raise it or shorten ${kind}AttemptsWindowSeconds`,
    );
}
