import { beforeAll, describe, expect, test, vi } from 'vitest';
import { ZeroTrustError } from '../../../src/core/zero-trust-error.js';
import { AccessTokenStrategy } from '../../../src/sessions/access-tokens/access-token.strategy.js';
import { AccessTokenVerifier } from '../../../src/sessions/access-tokens/access-token.verifier.js';
import { SessionsSettings } from '../../../src/sessions/sessions.settings.js';
import { makeSigningKey, type SigningKey } from '../../../src/sessions/signing-keys/signing-key.js';
import { forge, HeldClock, ISSUER } from '../sessions-application.js';

const ID = '018f4d7e-0000-7000-8000-000000000001';
const clock = new HeldClock();
const now = clock.nowSeconds();
const CLAIMS = {
  ...{ iss: ISSUER, sub: ID, aud: ISSUER, exp: now + 900, iat: now, jti: ID, sid: ID, client_id: 'c' },
  ...{ auth_time: now, acr: 'aal1', amr: ['pwd'], seq: 0 },
};

let key: SigningKey;
let other: SigningKey;
beforeAll(async () => {
  [key, other] = [await makeSigningKey(), await makeSigningKey()];
});

type Find = (kid: string) => unknown;

function verifierOf(find: Find = (kid) => (kid === key.kid ? key : undefined)): AccessTokenVerifier {
  const settings = new SessionsSettings({ issuer: ISSUER, audience: ISSUER });
  return new AccessTokenVerifier({ find } as never, settings, clock);
}

/** With the good header and claims but for what is given; a header may also be text. */
function tokenWith(header: object | string, claims: object | string = {}, signer = key): string {
  return forge(
    typeof header === 'string' ? header : { alg: 'ES256', typ: 'at+jwt', kid: key.kid, ...header },
    typeof claims === 'string' ? claims : { ...CLAIMS, ...claims },
    signer.privateKey,
  );
}

/** Why it was refused, in the operator's voice. */
async function verdict(token: string, find?: Find): Promise<string> {
  try {
    await verifierOf(find).verify(token);
    return 'accepted';
  } catch (error) {
    if (!(error instanceof ZeroTrustError)) throw error;
    expect(error.code).toBe('invalid-credentials');
    return error.detail;
  }
}

describe('An access token, verified without anything around it', () => {
  test('that was issued says its claims and its key', async () => {
    expect(await verifierOf().verify(tokenWith({}))).toEqual({ claims: CLAIMS, kid: key.kid });
    expect(await verdict(tokenWith({}), () => Promise.resolve(key))).toBe('accepted');
  });

  test('JWT-07 has exactly three members in its header, each a text, in the spelling that we write', async () => {
    const fault = 'the token header has unknown or missing members';
    for (const header of [
      ...[{ alg: undefined }, { alg: 1 }, { alg: ['ES256'] }, { alg: null }],
      ...[{ kid: undefined }, { kid: 1 }, { kid: [key.kid] }, { kid: null }],
      ...[{ crit: [] }, { b64: true }, { jwk: {} }, { '': '' }],
      `{"alg":"ES256","typ":"at+jwt", "kid":"${key.kid}"}`,
      `{"alg":"none","alg":"ES256","typ":"at+jwt","kid":"${key.kid}"}`,
    ]) {
      expect([header, await verdict(tokenWith(header))]).toEqual([header, fault]);
    }
  });

  test('JWT-09 is of the type of access tokens', async () => {
    for (const typ of [undefined, null, '', 'JWT', 'AT+JWT', ['at+jwt']]) {
      expect([typ, await verdict(tokenWith({ typ }))]).toEqual([typ, 'the token is of another type']);
    }
  });

  test('JWT-02 is signed by the key that it names, with the algorithm of that key', async () => {
    expect(await verdict(tokenWith({ kid: other.kid }))).toBe('the signing key is unknown');
    expect(await verdict(tokenWith({}), () => Promise.resolve(undefined))).toBe('the signing key is unknown');
    for (const alg of ['none', 'HS256', 'ES384', 'es256', '']) {
      expect(await verdict(tokenWith({ alg }))).toBe('the algorithm is not the one of the key');
    }
    // What the header says is no help where it is the key that is of another kind.
    const elsewhere = { ...key, algorithm: 'PS256' };
    expect(await verdict(tokenWith({}), () => elsewhere)).toBe('the algorithm is not the one of the key');
    expect(await verdict(tokenWith({}, {}, other))).toBe('the signature does not hold');
  });

  test('says in whose words it is refused what is wrong with its claims', async () => {
    const cases: [object | string, string][] = [
      [{ exp: now - 6, iat: now - 60 }, 'the token has expired'],
      [{ nbf: now + 60 }, 'the token is not valid yet'],
      [{ iat: now + 60 }, 'the token is not valid yet'],
      [{ aud: 'urn:other' }, 'the token is for another audience'],
      [{ iss: 'https://other.example.test' }, 'the token is from another issuer'],
      [{ exp: 'soon' }, 'the claims are malformed'],
      [{ nbf: 'soon' }, 'the claims are malformed'],
      [{ sub: 'alice' }, 'the claims are malformed'],
      [`${JSON.stringify(CLAIMS)} `, 'the claims are malformed'],
    ];
    for (const [claims, fault] of cases) {
      expect([claims, await verdict(tokenWith({}, claims))]).toEqual([claims, fault]);
    }
  });

  test('whatever a library says about it is about the token: 401, with the cause for the operator', async () => {
    const { prototype } = AccessTokenStrategy;
    for (const [thrown, fault] of [
      ['a text', 'the signature does not hold'],
      [undefined, 'the signature does not hold'],
      [new TypeError('boom'), 'the signature does not hold'],
      [new Error('x jwt audience invalid'), 'the signature does not hold'],
      [new Error('not jwt issuer invalid'), 'the signature does not hold'],
      [new Error('invalid exp value, or so'), 'the signature does not hold'],
      [new Error('an invalid nbf value'), 'the signature does not hold'],
      [new Error('jwt audience invalid. expected: x'), 'the token is for another audience'],
      [new Error('jwt issuer invalid. expected: x'), 'the token is from another issuer'],
    ] as const) {
      const run = vi.spyOn(prototype, 'run').mockRejectedValueOnce(thrown);
      const refusal = await verifierOf()
        .verify(tokenWith({}))
        .catch((error: unknown) => error);
      run.mockRestore();
      expect(refusal).toBeInstanceOf(ZeroTrustError);
      expect(refusal).toMatchObject({ code: 'invalid-credentials', detail: fault });
      expect((refusal as ZeroTrustError).cause).toBe(thrown);
    }
  });

  test('about which the keys cannot be asked is not refused: what the database threw is handed on', async () => {
    const down = new Error('the database is down');
    await expect(verifierOf(() => Promise.reject(down)).verify(tokenWith({}))).rejects.toBe(down);
  });
});
