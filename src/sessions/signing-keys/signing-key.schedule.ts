import { BootError } from '../../core/zero-trust-error.js';
import { MAX_ACCESS_TOKEN_SECONDS } from '../access-tokens/access-token.claims.js';
import { SIGNING_ALGORITHMS, type SigningAlgorithm, type SigningKeyState } from './signing-key.js';

/** `Cache-Control` of the JWK Set: so long may anybody work with an old copy (RFC 9111 5.2.2.1). */
export const JWKS_MAX_AGE_SECONDS = 300;
/** How often a replica reads the keys. */
export const KEYS_RELOAD_MS = 500;
/** What was read is trusted that long. Older, whoever needs a key reads first; if that fails, 503. */
export const KEYS_TRUSTED_MS = 1000;
export const KEYS_DEADLINE_MS = 250;
/** How often a replica asks whether a rotation is due. */
export const ROTATION_LOOK_MS = 30_000;

/** From choosing a key to the token that it signs: far more than a transaction may stand idle. */
const SIGNING_LAG_SECONDS = 30;

const DAY = 86_400;
/** [least, most, default] */
const NUMBERS = {
  signingKeyLifetimeSeconds: [3600, 366 * DAY, 30 * DAY],
  // At the least, everybody who cached the JWK Set has fetched it again, and once more for what lies between.
  signingKeyPublicationSeconds: [2 * JWKS_MAX_AGE_SECONDS, 7 * DAY, 3600],
} as const;

/** What of `SessionsSettings` the keys are made and rotated by. */
export interface SigningKeySettings {
  readonly clockToleranceSeconds: number;
  readonly signingAlgorithm?: SigningAlgorithm;
  readonly signingKeyLifetimeSeconds?: number;
  readonly signingKeyPublicationSeconds?: number;
  /** `manual`: this process reads the keys, and leaves their rotation to others. */
  readonly signingKeyRotation?: 'scheduled' | 'manual';
}

export interface SigningKeySchedule {
  readonly algorithm: SigningAlgorithm;
  /** How long a key signs. */
  readonly lifetimeSeconds: number;
  /** How long it is published before. */
  readonly publicationSeconds: number;
  /** How long it is published and accepted after: until the last token signed with it has ended. */
  readonly acceptanceSeconds: number;
  readonly rotates: boolean;
}

/** @throws BootError that names each wrong option and what to write. */
export function signingKeyScheduleOf(settings: SigningKeySettings): SigningKeySchedule {
  const faults: string[] = [];
  const number = (name: keyof typeof NUMBERS): number => {
    const [least, most, otherwise] = NUMBERS[name];
    const value = settings[name] ?? otherwise;
    if (!Number.isInteger(value) || value < least || value > most) {
      faults.push(`${name}: must be a whole number from ${least} to ${most}; leave it out for ${otherwise}.`);
    }
    return value;
  };
  const algorithm = settings.signingAlgorithm ?? 'ES256';
  const algorithmFault = faultOfAlgorithm(algorithm);
  if (algorithmFault) faults.push(`signingAlgorithm: ${algorithmFault}`);
  const lifetimeSeconds = number('signingKeyLifetimeSeconds');
  const publicationSeconds = number('signingKeyPublicationSeconds');
  if (lifetimeSeconds < 2 * publicationSeconds) {
    faults.push('signingKeyLifetimeSeconds: is less than twice signingKeyPublicationSeconds; raise it.');
  }
  const rotation = settings.signingKeyRotation ?? 'scheduled';
  if (!['scheduled', 'manual'].includes(rotation)) {
    faults.push('signingKeyRotation: must be scheduled or manual; leave it out for scheduled.');
  }
  if (faults.length > 0) throw new BootError('SessionsModule', faults);
  return {
    algorithm,
    lifetimeSeconds,
    publicationSeconds,
    acceptanceSeconds: MAX_ACCESS_TOKEN_SECONDS + settings.clockToleranceSeconds + SIGNING_LAG_SECONDS,
    rotates: rotation === 'scheduled',
  };
}

// An option from the environment may be anything, whatever the compiler believes.
function faultOfAlgorithm(algorithm: string): string | undefined {
  if ((SIGNING_ALGORITHMS as readonly string[]).includes(algorithm)) return undefined;
  if (/^(EdDSA|Ed25519|Ed448)$/i.test(algorithm)) {
    return 'EdDSA is known neither to jsonwebtoken nor to passport-jwt, which sign and verify here; leave it out for ES256.';
  }
  return `must be one of ${SIGNING_ALGORITHMS.join(', ')}; leave it out for ES256.`;
}

/** A key with its age, by the clock of the database. */
export interface AgedKey {
  readonly kid: string;
  readonly algorithm: SigningAlgorithm;
  readonly state: SigningKeyState;
  readonly publishedSeconds: number;
  readonly activeSeconds: number | null;
}

export type RotationStep =
  /** Nothing is due. */
  | { readonly kind: 'none' }
  /** There is no key to sign with at all. */
  | { readonly kind: 'first'; readonly algorithm: SigningAlgorithm }
  /** The time of `replaces` comes to its end, or it has not the algorithm that is wanted: publish a key to follow it. */
  | { readonly kind: 'publish'; readonly algorithm: SigningAlgorithm; readonly replaces: string }
  /** `kid` is known everywhere: it signs from now on, `replaces` is only accepted. */
  | { readonly kind: 'activate'; readonly kid: string; readonly replaces: string }
  /** `kid` was to follow, but does not open: give it up, lest it stand in the way. */
  | { readonly kind: 'discard'; readonly kid: string };

/** What is due now. `opens` says whether a key is one that this process could work with. */
export function nextStep(
  keys: readonly AgedKey[],
  schedule: SigningKeySchedule,
  opens: (kid: string) => boolean,
): RotationStep {
  const active = keys.find(({ state }) => state === 'active');
  const next = keys.find(({ state }) => state === 'next');
  if (!active) return { kind: 'first', algorithm: schedule.algorithm };
  if (next) {
    if (!opens(next.kid)) return { kind: 'discard', kid: next.kid };
    return next.publishedSeconds >= schedule.publicationSeconds
      ? { kind: 'activate', kid: next.kid, replaces: active.kid }
      : { kind: 'none' };
  }
  const endsSoon = (active.activeSeconds ?? 0) >= schedule.lifetimeSeconds - schedule.publicationSeconds;
  return endsSoon || active.algorithm !== schedule.algorithm
    ? { kind: 'publish', algorithm: schedule.algorithm, replaces: active.kid }
    : { kind: 'none' };
}

/** Whether what is due is still what was due before the lock was held. */
export function isSameStep(one: RotationStep, other: RotationStep): boolean {
  return JSON.stringify(one) === JSON.stringify(other);
}
