import {
  constants,
  createHmac,
  createPublicKey,
  timingSafeEqual,
  verify,
  type JsonWebKey,
  type KeyObject,
} from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { describe, expect, test } from 'vitest';
import { ZeroTrustError } from '../../../src/core/zero-trust-error.js';
import { AccessTokenStrategy } from '../../../src/sessions/access-tokens/access-token.strategy.js';
import { parseCompactJws } from '../../../src/sessions/access-tokens/compact-jws.js';
import {
  fits,
  SIGNING_ALGORITHMS,
  type SigningAlgorithm,
} from '../../../src/sessions/signing-keys/signing-key.js';

const vectors = (name: string): unknown =>
  JSON.parse(readFileSync(new URL(`../../vectors/wycheproof/${name}`, import.meta.url), 'utf8'));

type Jwk = JsonWebKey & { alg?: string; use?: string; key_ops?: string[]; kid?: string };

interface Vector {
  readonly tcId: number;
  readonly result: string;
  readonly jws?: unknown;
  readonly jwe?: unknown;
}

interface Group {
  readonly public?: Jwk | { keys: Jwk[] };
  readonly private: Jwk | { keys: Jwk[] };
  readonly tests: readonly Vector[];
}

const groupsOf = (name: string): readonly Group[] => (vectors(name) as { testGroups: Group[] }).testGroups;

/** Of a group that was published without its public part, the private one says it too. */
function keysOf(group: Group): Jwk[] {
  const jwk = group.public ?? group.private;
  return 'keys' in jwk ? (jwk as { keys: Jwk[] }).keys : [jwk];
}

/** 367 and 370 are byte for byte the valid 357; 372 and 373 hold a "?" that no base64url has. */
const OVERRIDES: Readonly<Record<number, boolean>> = { 367: true, 370: true, 372: false, 373: false };
/** Named otherwise in the key and in the header (RFC 7520): the algorithm is the one of the key. */
const KEY_DISAGREES = new Set([346, 347, 350, 351]);

describe('Raw ECDSA signatures', () => {
  interface VerifiesEcdsa {
    /** @throws TypeError when the signature has not the length that RFC 7518 3.4 demands. */
    verify(message: Buffer, signature: string, key: unknown): boolean;
  }

  /** The very code that passport-jwt reaches: through jsonwebtoken and jws. */
  function es256UnderPassport(): VerifiesEcdsa {
    const from = (...path: string[]): NodeJS.Require =>
      path.reduce((require, name) => createRequire(require.resolve(name)), createRequire(import.meta.url));
    return (from('passport-jwt', 'jsonwebtoken', 'jws')('jwa') as (algorithm: string) => VerifiesEcdsa)(
      'ES256',
    );
  }

  test('JWT-17 the ES256 under us agrees with every Wycheproof vector for raw signatures', () => {
    interface EcdsaGroup {
      readonly publicKeyPem: string;
      readonly tests: { tcId: number; msg: string; sig: string; result: string }[];
    }
    const file = vectors('ecdsa_secp256r1_sha256_p1363_test.json') as {
      numberOfTests: number;
      testGroups: EcdsaGroup[];
    };
    const es256 = es256UnderPassport();
    let ran = 0;
    for (const { publicKeyPem, tests } of file.testGroups) {
      const key = createPublicKey(publicKeyPem);
      for (const { tcId, msg, sig, result } of tests) {
        let accepted: boolean;
        try {
          const signature = Buffer.from(sig, 'hex').toString('base64url');
          accepted = es256.verify(Buffer.from(msg, 'hex'), signature, key);
        } catch (error) {
          expect(error).toBeInstanceOf(TypeError);
          accepted = false;
        }
        expect([tcId, accepted]).toEqual([tcId, result === 'valid']);
        ran += 1;
      }
    }
    expect(ran).toBe(file.numberOfTests);
    expect(ran).toBeGreaterThan(200);
  });
});

describe('JSON Web Signatures, taken apart by us and judged by the platform', () => {
  test('V9.1.1 JWS is taken apart so that every JOSE vector comes out as published', () => {
    let ran = 0;
    for (const group of groupsOf('json_web_signature_test.json')) {
      const [jwk] = keysOf(group);
      for (const { tcId, jws, result } of group.tests) {
        const expected = OVERRIDES[tcId] ?? (result === 'valid' && !KEY_DISAGREES.has(tcId));
        expect([tcId, accepts(jws as string, jwk!)]).toEqual([tcId, expected]);
        ran += 1;
      }
    }
    expect(ran).toBe(401);
  });

  /** Our form, a pinned algorithm, then the platform's own verification. */
  function accepts(text: string, jwk: Jwk): boolean {
    try {
      const { header, signature } = parseCompactJws(text);
      const mayVerify = (jwk.use ?? 'sig') === 'sig' && (jwk.key_ops?.includes('verify') ?? true);
      const { alg } = header;
      const known = Object.keys(header).every((name) => name === 'alg' || name === 'kid');
      if (!mayVerify || !known || typeof alg !== 'string' || alg !== jwk.alg) return false;
      const input = Buffer.from(text.slice(0, text.lastIndexOf('.')));
      const hash = `sha${alg.slice(2)}`;
      if (alg.startsWith('HS')) {
        const mac = createHmac(hash, Buffer.from(jwk.k!, 'base64url')).update(input).digest();
        return mac.length === signature.length && timingSafeEqual(mac, signature);
      }
      const key = createPublicKey({ key: jwk, format: 'jwk' });
      if (alg.startsWith('ES')) return verify(hash, input, { key, dsaEncoding: 'ieee-p1363' }, signature);
      const padding = alg.startsWith('PS') ? constants.RSA_PKCS1_PSS_PADDING : constants.RSA_PKCS1_PADDING;
      return verify(hash, input, { key, padding, saltLength: constants.RSA_PSS_SALTLEN_DIGEST }, signature);
    } catch (error) {
      expect(error).toBeInstanceOf(ZeroTrustError);
      return false;
    }
  }
});

/**
 * The way that an access token takes, up to its claims, which no vector has: our form, our rules for keys, the
 * algorithm of the key, and the libraries that verify for us.
 */
describe('JSON Web Signatures and Keys, judged as access tokens are', () => {
  /** A key by our rules, or none: what else a JWK may say, nobody here signs with. */
  function keyOf(jwk: Jwk): { algorithm: SigningAlgorithm; publicKey: KeyObject } | undefined {
    const algorithm = SIGNING_ALGORITHMS.find((each) => each === jwk.alg);
    if (!algorithm || (jwk.use ?? 'sig') !== 'sig' || jwk.key_ops?.includes('verify') === false)
      return undefined;
    try {
      const publicKey = createPublicKey({ key: jwk, format: 'jwk' });
      return fits(publicKey, algorithm) ? { algorithm, publicKey } : undefined;
    } catch {
      return undefined;
    }
  }

  async function holds(text: string, jwks: readonly Jwk[]): Promise<boolean> {
    let parsed;
    try {
      parsed = parseCompactJws(text);
    } catch (error) {
      expect(error).toBeInstanceOf(ZeroTrustError);
      return false;
    }
    const { alg, kid, ...others } = parsed.header;
    // Ours always have one; of vectors without, the only key is meant.
    const named = kid === undefined && jwks.length === 1 ? jwks : jwks.filter((each) => each.kid === kid);
    const key = named.length === 1 ? keyOf(named[0]!) : undefined;
    if (!key || alg !== key.algorithm || Object.keys(others).length > 0) return false;
    const presented = { token: text, payload: parsed.payload, key: { kid: 'vector', ...key } };
    const expected = { issuer: 'nobody', audience: 'nobody', clockToleranceSeconds: 0, nowSeconds: 1 };
    const refusal: unknown = await new AccessTokenStrategy(presented, expected)
      .run()
      .catch((error: unknown) => error);
    expect(refusal).toBeInstanceOf(Error);
    const { message } = refusal as Error;
    // Claims are only looked at once the signature holds.
    return /^jwt (audience|issuer) invalid|the claims are malformed/.test(message);
  }

  /** Ours is a key of our own making. How a card made its primes (CVE-2017-15361) cannot be seen in a signature. */
  const ROCA: Readonly<Record<string, number>> = { json_web_crypto_test: 46, json_web_key_test: 7 };

  /** A JWT has claims (RFC 7519 7.2): nothing at all is not a token, whoever signed it. */
  const hasPayload = (text: string): boolean => text.split('.')[1] !== '';

  test.each([
    ['json_web_signature_test', 401, 14],
    ['json_web_crypto_test', 83, 3],
    ['json_web_key_test', 26, 2],
  ])(
    'JWT-02 JWT-17 JWT-21 JWT-24 %s: of %i vectors those hold that a key and an algorithm of ours signed',
    async (name, total, holding) => {
      const ofSignatures = name === 'json_web_signature_test';
      let ran = 0;
      let held = 0;
      for (const group of groupsOf(`${name}.json`)) {
        const jwks = keysOf(group);
        for (const { tcId, jws, jwe, result } of group.tests) {
          // Some are in one of the JSON forms, some are encrypted: neither is a form of ours.
          const text = typeof jws === 'string' ? jws : JSON.stringify(jws ?? jwe);
          const verdict = await holds(text, jwks);
          const valid = (ofSignatures ? OVERRIDES[tcId] : undefined) ?? result === 'valid';
          const ours =
            typeof jws === 'string' &&
            hasPayload(jws) &&
            jwks.some((each) => keyOf(each) !== undefined) &&
            !(ofSignatures && KEY_DISAGREES.has(tcId));
          expect([tcId, verdict]).toEqual([tcId, (valid && ours) || ROCA[name] === tcId]);
          ran += 1;
          held += Number(verdict);
        }
      }
      expect(ran).toBe(total);
      expect(held).toBe(holding);
    },
  );
});
