import fc from 'fast-check';
import {
  constants,
  createHmac,
  createPublicKey,
  generateKeyPairSync,
  timingSafeEqual,
  verify,
  type JsonWebKey,
} from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { beforeAll, describe, expect, test } from 'vitest';
import { ZeroTrustError } from '../../src/core/zero-trust-error.js';
import { AccessTokenVerifier } from '../../src/sessions/access-token.verifier.js';
import { isOwnEncodingOf, MAX_TOKEN_LENGTH, parseCompactJws } from '../../src/sessions/compact-jws.js';
import { SessionsSettings } from '../../src/sessions/sessions.settings.js';
import { importSigningKey, makeSigningKey, type SigningKey } from '../../src/sessions/signing-key.js';
import { encode, forge, HeldClock, ISSUER } from './sessions-application.js';

const vectors = (name: string): unknown =>
  JSON.parse(readFileSync(new URL(`../vectors/wycheproof/${name}`, import.meta.url), 'utf8'));

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

describe('The published vectors', () => {
  test('JWT-17 the ES256 under us agrees with every Wycheproof vector for raw signatures', () => {
    interface Group {
      readonly publicKeyPem: string;
      readonly tests: { tcId: number; msg: string; sig: string; result: string }[];
    }
    const { testGroups } = vectors('ecdsa_secp256r1_sha256_p1363_test.json') as { testGroups: Group[] };
    const es256 = es256UnderPassport();
    let ran = 0;
    for (const { publicKeyPem, tests } of testGroups) {
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
    expect(ran).toBeGreaterThan(200);
  });

  /** 367 and 370 are byte for byte the valid 357; 372 and 373 hold a "?" that no base64url has. */
  const OVERRIDES: Readonly<Record<number, boolean>> = { 367: true, 370: true, 372: false, 373: false };
  /** Named RS256-like in the key and otherwise in the header (RFC 7520): the algorithm is the one of the key. */
  const KEY_DISAGREES = new Set([346, 347, 350, 351]);

  test('V9.1.1 JWS is taken apart so that every JOSE vector comes out as published', () => {
    interface Group {
      readonly public?: JsonWebKey & { alg?: string; use?: string; key_ops?: string[] };
      readonly private: JsonWebKey & { alg?: string; use?: string };
      readonly tests: { tcId: number; jws: string; result: string }[];
    }
    const { testGroups } = vectors('json_web_signature_test.json') as { testGroups: Group[] };
    let ran = 0;
    for (const group of testGroups) {
      const jwk = group.public ?? group.private;
      for (const { tcId, jws, result } of group.tests) {
        const expected = OVERRIDES[tcId] ?? (result === 'valid' && !KEY_DISAGREES.has(tcId));
        expect([tcId, accepts(jws, jwk)]).toEqual([tcId, expected]);
        ran += 1;
      }
    }
    expect(ran).toBeGreaterThan(350);
  });

  /** Our form, a pinned algorithm, then the platform's own verification. */
  function accepts(
    text: string,
    jwk: JsonWebKey & { alg?: string; use?: string; key_ops?: string[] },
  ): boolean {
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

describe('One token, one spelling', () => {
  let key: SigningKey;
  let token: string;
  let verifier: AccessTokenVerifier;
  beforeAll(async () => {
    key = await makeSigningKey();
    const clock = new HeldClock();
    const now = clock.nowSeconds();
    const id = '018f4d7e-0000-7000-8000-000000000001';
    const claims = {
      ...{ iss: ISSUER, sub: id, aud: ISSUER, exp: now + 900, iat: now, jti: id, sid: id, client_id: 'c' },
      ...{ auth_time: now, acr: 'aal1', amr: ['pwd'], seq: 0 },
    };
    token = forge({ alg: 'ES256', typ: 'at+jwt', kid: key.kid }, claims, key.privateKey);
    const keys = { find: (kid: string) => (kid === key.kid ? key : undefined) };
    const settings = new SessionsSettings({ issuer: ISSUER, audience: ISSUER });
    verifier = new AccessTokenVerifier(keys as never, settings, clock);
  });

  const verdict = (text: string): Promise<string> =>
    verifier.verify(text).then(
      () => 'accepted',
      (error: unknown) => (error instanceof ZeroTrustError ? error.code : `not ours: ${String(error)}`),
    );

  test('V9.1.1 any change of one character is refused', async () => {
    expect(await verdict(token)).toBe('accepted');
    const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.+/= ';
    const character = fc.oneof(
      fc.nat(alphabet.length - 1).map((at) => alphabet.charAt(at)),
      fc.nat(0x24f).map((code) => String.fromCharCode(code)),
    );
    await fc.assert(
      fc.asyncProperty(fc.nat(token.length - 1), character, async (at, other) => {
        fc.pre(token[at] !== other);
        expect(await verdict(token.slice(0, at) + other + token.slice(at + 1))).toBe('invalid-credentials');
      }),
      { numRuns: 600 },
    );
  });

  test('V9.1.1 any character added, left out or swapped is refused', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.nat(token.length - 2),
        fc.string({ minLength: 1, maxLength: 3 }),
        async (at, more) => {
          expect(await verdict(token.slice(0, at) + more + token.slice(at))).toBe('invalid-credentials');
          expect(await verdict(token.slice(0, at) + token.slice(at + 1))).toBe('invalid-credentials');
          const swapped = token.slice(0, at) + token[at + 1]! + token[at]! + token.slice(at + 2);
          expect(await verdict(swapped)).toBe(swapped === token ? 'accepted' : 'invalid-credentials');
        },
      ),
      { numRuns: 200 },
    );
    for (const text of [
      ` ${token}`,
      `${token} `,
      `${token}\n`,
      `${token}\u0000`,
      `\uFEFF${token}`,
      token.repeat(2),
    ]) {
      expect(await verdict(text)).toBe('invalid-credentials');
    }
  });

  test('V9.1.1 no flipped bit of header, claims or signature survives', async () => {
    const parts = token.split('.').map((part) => Buffer.from(part, 'base64url'));
    await fc.assert(
      fc.asyncProperty(fc.nat(2), fc.nat(), fc.nat(7), async (part, at, bit) => {
        const flipped = parts.map((bytes) => Buffer.from(bytes));
        const bytes = flipped[part]!;
        bytes[at % bytes.length]! ^= 1 << bit;
        expect(await verdict(flipped.map((each) => each.toString('base64url')).join('.'))).toBe(
          'invalid-credentials',
        );
      }),
      { numRuns: 400 },
    );
  });

  test('whatever text comes, it is refused as ours, never as an unexpected error', async () => {
    const part = fc.oneof(
      fc.string(),
      fc.base64String(),
      fc.json().map(encode),
      fc.constantFrom(...token.split('.')),
    );
    await fc.assert(
      fc.asyncProperty(fc.array(part, { maxLength: 5 }), async (parts) => {
        const text = parts.join('.');
        fc.pre(text !== token);
        expect(await verdict(text)).toBe('invalid-credentials');
      }),
      { numRuns: 500 },
    );
  });

  test('what was taken apart is written again as the same text', () => {
    const object = fc.dictionary(fc.string(), fc.jsonValue());
    fc.assert(
      fc.property(object, fc.uint8Array(), fc.uint8Array({ minLength: 1 }), (header, payload, signature) => {
        const text = [
          encode(header),
          Buffer.from(payload).toString('base64url'),
          Buffer.from(signature).toString('base64url'),
        ].join('.');
        fc.pre(text.length <= MAX_TOKEN_LENGTH);
        const jws = parseCompactJws(text);
        expect(jws.header).toEqual(JSON.parse(JSON.stringify(header)));
        expect(isOwnEncodingOf(jws.header, jws.headerBytes)).toBe(isOwnEncodingOf(header, jws.headerBytes));
        const again = [jws.headerBytes, jws.payload, jws.signature].map((each) => each.toString('base64url'));
        expect(again.join('.')).toBe(text);
      }),
    );
  });

  test('a header is an object in UTF-8', () => {
    const bytes = (hex: string): string => Buffer.from(hex, 'hex').toString('base64url');
    for (const header of [
      ...['[]', '1', '"x"', 'null', '{', '{}{}', '\uFEFF{}'].map(encode),
      bytes('7b2261223a22ff227d'),
      bytes('fffe7b007d00'),
    ]) {
      expect(() => parseCompactJws(`${header}.AA.AA`)).toThrow('the token is not in compact form');
    }
    expect(parseCompactJws(`${encode('{}')}..AA`).payload.length).toBe(0);
  });
});

describe('A key that comes back from the database', () => {
  test('JWT-21 is what its row says, or nothing', async () => {
    const key = await makeSigningKey();
    const pkcs8 = (each: SigningKey['privateKey']): Buffer => each.export({ type: 'pkcs8', format: 'der' });
    const own = pkcs8(key.privateKey);
    const rsa = generateKeyPairSync('rsa', { modulusLength: 1024 }).privateKey;
    const p521 = generateKeyPairSync('ec', { namedCurve: 'P-521' }).privateKey;
    const other = await makeSigningKey();

    expect((await importSigningKey(own, key.kid, 'ES256'))?.kid).toBe(key.kid);
    for (const bytes of [
      pkcs8(rsa),
      pkcs8(p521),
      pkcs8(other.privateKey),
      own.subarray(1),
      Buffer.alloc(0),
    ]) {
      expect(await importSigningKey(bytes, key.kid, 'ES256')).toBeUndefined();
    }
    expect(await importSigningKey(own, other.kid, 'ES256')).toBeUndefined();
  });
});
