import fc from 'fast-check';
import { generateKeyPairSync } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { BootError } from '../../../src/core/zero-trust-error.js';
import {
  JWKS_MAX_AGE_SECONDS,
  nextStep,
  signingKeyScheduleOf,
  type AgedKey,
} from '../../../src/sessions/signing-keys/signing-key.schedule.js';
import {
  exportPrivateKey,
  fits,
  importSigningKey,
  makeSigningKey,
  publicJwkOf,
  SIGNING_ALGORITHMS,
} from '../../../src/sessions/signing-keys/signing-key.js';

const clockToleranceSeconds = 5;
const SCHEDULE = signingKeyScheduleOf({ clockToleranceSeconds });
const DAY = 86_400;

const active = (activeSeconds: number, algorithm: AgedKey['algorithm'] = 'ES256'): AgedKey => ({
  ...{ kid: 'active', algorithm, state: 'active', activeSeconds },
  publishedSeconds: activeSeconds + 3600,
});
const next = (publishedSeconds: number, algorithm: AgedKey['algorithm'] = 'ES256'): AgedKey => ({
  ...{ kid: 'next', algorithm, state: 'next', activeSeconds: null, publishedSeconds },
});
const retired: AgedKey = { ...active(31 * DAY), kid: 'retired', state: 'retired' };
const yes = (): boolean => true;

describe('The schedule of the signing keys', () => {
  test('without options: ES256 for 30 days, published an hour before, accepted 15 minutes and 35 seconds after', () => {
    expect(SCHEDULE).toEqual({
      algorithm: 'ES256',
      lifetimeSeconds: 30 * DAY,
      publicationSeconds: 3600,
      acceptanceSeconds: 900 + 5 + 30,
      rotates: true,
    });
  });

  test.each<[string, number, number | null, object]>([
    ['leaves a young key alone', 0, null, { kind: 'none' }],
    ['leaves it alone until a second before', 30 * DAY - 3601, null, { kind: 'none' }],
    [
      'publishes the next one in time',
      30 * DAY - 3600,
      null,
      { kind: 'publish', algorithm: 'ES256', replaces: 'active' },
    ],
    ['waits until it has been published long enough', 30 * DAY, 3599, { kind: 'none' }],
    ['then signs with it', 30 * DAY, 3600, { kind: 'activate', kid: 'next', replaces: 'active' }],
    [
      'also when somebody asked for it early',
      10,
      3600,
      { kind: 'activate', kid: 'next', replaces: 'active' },
    ],
    ['does not hurry when it is late', 400 * DAY, 0, { kind: 'none' }],
  ])('%s', (_, activeSeconds, publishedSeconds, step) => {
    const keys = [
      retired,
      active(activeSeconds),
      ...(publishedSeconds === null ? [] : [next(publishedSeconds)]),
    ];
    expect(nextStep(keys, SCHEDULE, yes)).toEqual(step);
  });

  test('another algorithm is rotated to, as any key: published first', () => {
    const schedule = { ...SCHEDULE, algorithm: 'PS256' } as const;
    expect(nextStep([active(0)], schedule, yes)).toEqual({
      kind: 'publish',
      algorithm: 'PS256',
      replaces: 'active',
    });
    expect(nextStep([active(0), next(3599, 'PS256')], schedule, yes)).toEqual({ kind: 'none' });
    // Replicas that are configured differently do not take each other's key away before it has signed.
    expect(nextStep([active(0), next(0)], schedule, yes)).toEqual({ kind: 'none' });
    expect(nextStep([active(0, 'PS256')], schedule, yes)).toEqual({ kind: 'none' });
  });

  test('a key that was to follow and does not open is given up, and never signs', () => {
    for (const publishedSeconds of [0, 3600]) {
      expect(nextStep([active(0), next(publishedSeconds)], SCHEDULE, (kid) => kid !== 'next')).toEqual({
        kind: 'discard',
        kid: 'next',
      });
    }
  });

  test('without a key to sign with, one is made', () => {
    for (const keys of [[], [retired], [next(9999)]]) {
      expect(nextStep(keys, SCHEDULE, yes)).toEqual({ kind: 'first', algorithm: 'ES256' });
    }
  });

  test('JWT-22 whatever the ages, no key signs that has not been published for as long as caches may keep the old set', () => {
    const seconds = fc.integer({ min: -DAY, max: 500 * DAY });
    const settings = fc.record({
      signingKeyPublicationSeconds: fc.integer({ min: 600, max: 1800 }),
      signingKeyLifetimeSeconds: fc.integer({ min: 3600, max: 366 * DAY }),
    });
    fc.assert(
      fc.property(settings, seconds, seconds, fc.boolean(), (options, activeFor, publishedFor, opens) => {
        const schedule = signingKeyScheduleOf({ clockToleranceSeconds, ...options });
        const step = nextStep([active(activeFor), next(publishedFor)], schedule, () => opens);
        if (step.kind === 'activate') expect(publishedFor).toBeGreaterThan(JWKS_MAX_AGE_SECONDS);
        expect(step.kind === 'activate').toBe(opens && publishedFor >= schedule.publicationSeconds);
      }),
    );
  });
});

describe('Options of the signing keys', () => {
  const refusal = (settings: object): string => {
    try {
      signingKeyScheduleOf({ clockToleranceSeconds, ...settings });
    } catch (error) {
      expect(error).toBeInstanceOf(BootError);
      return (error as BootError).faults.join('\n');
    }
    return '';
  };

  test.each(['EdDSA', 'Ed25519', 'eddsa'])('%s is refused with the reason', (signingAlgorithm) => {
    expect(refusal({ signingAlgorithm })).toContain(
      'EdDSA is known neither to jsonwebtoken nor to passport-jwt',
    );
  });

  test.each(['none', 'HS256', 'RS1', 'es256', ''])('JWT-21 %j is refused', (signingAlgorithm) => {
    expect(refusal({ signingAlgorithm })).toContain('must be one of ES256, PS256, RS256');
  });

  test('a publication that is shorter than caches keep the set is refused, and a life that is shorter than it', () => {
    expect(refusal({ signingKeyPublicationSeconds: 599 })).toContain('from 600 to 604800');
    expect(refusal({ signingKeyLifetimeSeconds: 3599 })).toContain('from 3600 to 31622400');
    expect(refusal({ signingKeyLifetimeSeconds: 7199 })).toContain('less than twice');
    expect(refusal({ signingKeyLifetimeSeconds: Number.NaN })).toContain('must be a whole number');
    expect(refusal({ signingKeyRotation: 'never' })).toContain('must be scheduled or manual');
    expect(refusal({ signingKeyLifetimeSeconds: 7200 })).toBe('');
  });
});

describe('A signing key', () => {
  test.each(SIGNING_ALGORITHMS)(
    '%s: what was made is found again, under its own algorithm alone',
    async (algorithm) => {
      const key = await makeSigningKey(algorithm);
      const pkcs8 = exportPrivateKey(key);
      expect((await importSigningKey(pkcs8, key.kid, algorithm))?.kid).toBe(key.kid);
      const other = algorithm === 'ES256' ? 'RS256' : 'ES256';
      expect(await importSigningKey(pkcs8, key.kid, other)).toBeUndefined();
    },
  );

  test('an RSA key has 3072 bits, and is published by its public members alone', async () => {
    const key = await makeSigningKey('PS256');
    expect(key.publicKey.asymmetricKeyDetails?.modulusLength).toBe(3072);
    const jwk = await publicJwkOf(key);
    expect(Object.keys(jwk).sort()).toEqual(['alg', 'e', 'kid', 'kty', 'n', 'use']);
    expect(jwk).toMatchObject({ kty: 'RSA', alg: 'PS256', use: 'sig', kid: key.kid });
  });

  test('JWT-21 an RSA key below 2048 bits, with another exponent or bound to PSS is refused', () => {
    const rsa = (modulusLength: number, publicExponent = 65_537): boolean =>
      fits(generateKeyPairSync('rsa', { modulusLength, publicExponent }).privateKey, 'RS256');
    expect(rsa(2048)).toBe(true);
    expect(rsa(1024)).toBe(false);
    expect(rsa(2040)).toBe(false);
    expect(rsa(2048, 3)).toBe(false);
    expect(fits(generateKeyPairSync('rsa-pss', { modulusLength: 2048 }).privateKey, 'PS256')).toBe(false);
    expect(fits(generateKeyPairSync('ed25519').privateKey, 'ES256')).toBe(false);
    expect(fits(generateKeyPairSync('ec', { namedCurve: 'secp256k1' }).privateKey, 'ES256')).toBe(false);
  });
});
