import { createHmac, createSign, generateKeyPairSync } from 'node:crypto';
import { createServer } from 'node:net';
import { deflateRawSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { UnitOfWork } from '../../../src/database/unit-of-work.js';
import { AccessTokenVerifier } from '../../../src/sessions/access-tokens/access-token.verifier.js';
import { SessionsService } from '../../../src/sessions/sessions.service.js';
import { createTestDatabase, type TestDatabase } from '../../support/database.js';
import {
  encode,
  forge,
  ISSUER,
  startSessions,
  takeApart,
  type Started,
  type Taken,
} from '../sessions-application.js';

let database: TestDatabase;
let started: Started;
let token: string;
let taken: Taken;

beforeAll(async () => {
  database = await createTestDatabase();
  started = await startSessions({ database });
  ({ accessToken: token } = await started.open());
  taken = takeApart(token);
});
afterAll(async () => {
  await started.app.close();
  await database.drop();
});

/** Refused like every other, reached nothing, one event: and why, in the operator's voice. */
async function refusal(forged: string): Promise<string | undefined> {
  const reached = started.reached();
  const published = started.events.length;
  const { status, text, headers } = await started.ask(forged);
  expect({ status, text, challenge: headers['www-authenticate'] }).toEqual({
    status: 401,
    text: '{"code":"invalid-credentials"}',
    challenge: 'Bearer error="invalid_token"',
  });
  expect(started.reached()).toBe(reached);
  const events = started.events.slice(published);
  expect(events.map(({ action, delivery }) => [action, delivery])).toEqual([
    ['authentication.refused', 'detached'],
  ]);
  return events[0]?.reason;
}

async function forged(header: object, claims: object = {}): Promise<string> {
  const { privateKey } = await started.key();
  return forge({ ...taken.header, ...header }, { ...taken.claims, ...claims }, privateKey);
}

test('a token as it was issued is accepted, before anything is said about those that are not', async () => {
  expect((await started.ask(token)).status).toBe(200);
  expect((await started.ask(await forged({}))).status).toBe(200);
});

describe('The header of an access token', () => {
  test('JWT-01 an unsigned token is refused, whatever its alg is called', async () => {
    const [, payload, signature] = taken.parts;
    for (const alg of ['none', 'None', 'NONE', 'nOnE', '', undefined, null]) {
      const header = encode({ ...taken.header, alg });
      for (const end of [`.${payload}.`, `.${payload}.${signature}`, `.${payload}`]) {
        expect(await refusal(header + end)).toMatch(
          /^(the token is not in compact form|the algorithm is not the one of the key|the token header has unknown or missing members)$/,
        );
      }
    }
  });

  test('JWT-02 our public key is no HMAC secret, in whatever spelling', async () => {
    const { publicKey } = await started.key();
    const pem = publicKey.export({ type: 'spki', format: 'pem' }).toString();
    const jwk = publicKey.export({ format: 'jwk' });
    const secrets = [
      ...[pem, pem.trimEnd(), ` ${pem}`, `\n${pem}`, `\uFEFF${pem}`, JSON.stringify(jwk), jwk.x!, jwk.y!],
      publicKey.export({ type: 'spki', format: 'der' }),
    ];
    for (const [alg, hash] of [
      ['HS256', 'sha256'],
      ['HS384', 'sha384'],
      ['HS512', 'sha512'],
    ] as const) {
      for (const secret of secrets) {
        const input = `${encode({ ...taken.header, alg })}.${taken.parts[1]}`;
        const mac = createHmac(hash, secret).update(input).digest('base64url');
        expect(await refusal(`${input}.${mac}`)).toBe('the algorithm is not the one of the key');
      }
    }
  });

  test('JWT-02 the algorithm is the one of the key, also when the signature fits the header', async () => {
    const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
    for (const alg of ['RS256', 'PS256', 'ES384', 'EdDSA']) {
      const input = `${encode({ ...taken.header, alg })}.${taken.parts[1]}`;
      const signature = createSign('sha256').update(input).sign(privateKey, 'base64url');
      expect(await refusal(`${input}.${signature}`)).toBe('the algorithm is not the one of the key');
    }
  });

  test('JWT-04 a key that comes along with the token is not used, and nothing is fetched', async () => {
    let connections = 0;
    const listener = createServer((socket) => {
      connections += 1;
      socket.destroy();
    });
    await new Promise<void>((listening) => listener.listen(0, '127.0.0.1', listening));
    const { port } = listener.address() as { port: number };
    const attacker = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const url = `http://127.0.0.1:${port}/keys`;
    const jwk = attacker.publicKey.export({ format: 'jwk' });
    for (const brought of [
      { jwk },
      { jku: url },
      { x5u: url },
      { x5c: ['MIIB'] },
      { x5t: 'abc' },
      { jku: url, jwk },
    ]) {
      const header = { ...taken.header, ...brought };
      expect(await refusal(forge(header, taken.claims, attacker.privateKey))).toBe(
        'the token header has unknown or missing members',
      );
    }
    expect(await refusal(forge(taken.header, taken.claims, attacker.privateKey))).toBe(
      'the signature does not hold',
    );
    await new Promise((closed) => listener.close(closed));
    expect(connections).toBe(0);
  });

  test('JWT-05 a key id is a name to look up in memory, nothing else', async () => {
    const { privateKey } = await started.key();
    for (const kid of [
      '../../../../dev/null',
      "' UNION SELECT 'k'-- ",
      '__proto__',
      'constructor',
      '\u0000',
      '',
    ]) {
      expect(await refusal(forge({ ...taken.header, kid }, taken.claims, privateKey))).toBe(
        'the signing key is unknown',
      );
    }
    for (const kid of [1, ['a'], { kid: taken.header['kid'] }, null, true, undefined]) {
      expect(await refusal(forge({ ...taken.header, kid }, taken.claims, privateKey))).toBe(
        'the token header has unknown or missing members',
      );
    }
    const emptyKey = createHmac('sha256', '').update('x').digest('base64url');
    const devNull = encode({ ...taken.header, alg: 'HS256', kid: '../../../../dev/null' });
    expect(await refusal(`${devNull}.${taken.parts[1]}.${emptyKey}`)).toBe('the signing key is unknown');
  });

  test('JWT-05 what a caller sent stands in no event', async () => {
    await refusal(await forged({ kid: 'marker-in-the-key-id' }));
    expect(JSON.stringify(started.events)).not.toContain('marker-in-the-key-id');
    expect(JSON.stringify(started.events)).not.toContain(token);
  });

  test('JWT-07 an extension that must be understood is not', async () => {
    const extensions = [
      { crit: ['x-unknown'], 'x-unknown': 1 },
      { crit: [] },
      { crit: ['exp'] },
      { crit: ['exp', 'exp'], exp: 1 },
      { crit: 'exp' },
      { crit: null },
    ];
    for (const extension of extensions) {
      expect(await refusal(await forged(extension))).toBe('the token header has unknown or missing members');
    }
  });

  test('JWT-08 an unencoded payload is refused', async () => {
    const { privateKey } = await started.key();
    for (const header of [{ b64: false, crit: ['b64'] }, { b64: false }]) {
      expect(await refusal(await forged(header))).toBe('the token header has unknown or missing members');
      const input = `${encode({ ...taken.header, ...header })}.${JSON.stringify(taken.claims)}`;
      const signature = createSign('sha256')
        .update(input)
        .sign({ key: privateKey, dsaEncoding: 'ieee-p1363' });
      expect(await refusal(encodeURI(`${input}.${signature.toString('base64url')}`))).toBe(
        'the Authorization header is malformed',
      );
    }
  });

  test('JWT-09 a token of another kind is refused, although our key signed it', async () => {
    for (const typ of [
      'JWT',
      'jwt',
      'at+JWT',
      'application/at+jwt',
      'rt+jwt',
      'dpop+jwt',
      'secevent+jwt',
      'id',
      '',
    ]) {
      expect(await refusal(await forged({ typ }))).toBe('the token is of another type');
    }
    expect(await refusal(await forged({ typ: undefined }))).toBe('the token is of another type');
    expect(await refusal(await forged({ typ: ['at+jwt'] }))).toBe('the token is of another type');
  });

  test('a header has every member once', async () => {
    const { privateKey } = await started.key();
    const kid = JSON.stringify(taken.header['kid']);
    for (const header of [
      `{"alg":"none","alg":"ES256","typ":"at+jwt","kid":${kid}}`,
      `{"alg":"ES256","typ":"JWT","typ":"at+jwt","kid":${kid}}`,
      `{"alg":"ES256","typ":"at+jwt","kid":"x","kid":${kid}}`,
      `{"alg":"ES256","typ":"at+jwt", "kid":${kid}}`,
      `{"\\u0061lg":"ES256","typ":"at+jwt","kid":${kid}}`,
    ]) {
      expect(await refusal(forge(header, taken.claims, privateKey))).toBe(
        'the token header has unknown or missing members',
      );
    }
  });
});

describe('The claims of an access token', () => {
  test('JWT-10 a token for somebody else is refused', async () => {
    const other = 'https://other.example.test';
    for (const aud of [
      other,
      undefined,
      null,
      '',
      [ISSUER, other],
      [ISSUER],
      [],
      `${ISSUER}/`,
      ISSUER.slice(0, -1),
    ]) {
      expect(await refusal(await forged({}, { aud }))).toBe('the token is for another audience');
    }
    expect(await refusal(await forged({}, { aud: ISSUER.toUpperCase() }))).toBe(
      'the token is for another audience',
    );
    expect(await refusal(await forged({}, { aud: ` ${ISSUER}` }))).toBe('the token is for another audience');
  });

  test('JWT-10 a token from somebody else is refused', async () => {
    for (const iss of [
      'https://other.example.test',
      undefined,
      null,
      '',
      [ISSUER],
      `${ISSUER}/`,
      `${ISSUER}#`,
    ]) {
      expect(await refusal(await forged({}, { iss }))).toBe('the token is from another issuer');
    }
  });

  test('JWT-12 a token from the future is refused beyond the tolerance of 5 seconds', async () => {
    const now = started.clock.nowSeconds();
    const exp = now + 900;
    expect(await refusal(await forged({}, { nbf: now + 3600 }))).toBe('the token is not valid yet');
    expect(await refusal(await forged({}, { iat: now + 3600, exp: now + 4000 }))).toBe(
      'the token is not valid yet',
    );
    expect(await refusal(await forged({}, { nbf: now + 6 }))).toBe('the token is not valid yet');
    expect(await refusal(await forged({}, { iat: now + 6, exp }))).toBe('the token is not valid yet');
    for (const nbf of [String(now), null, true, now + 0.5, {}]) {
      expect(await refusal(await forged({}, { nbf }))).toBe('the claims are malformed');
    }
    expect((await started.ask(await forged({}, { nbf: now + 5, iat: now + 5, exp }))).status).toBe(200);
  });

  test('V9.2.1 a token without a whole, honest expiry is refused', async () => {
    const now = started.clock.nowSeconds();
    for (const exp of [undefined, null, String(now + 900), now + 0.5, -1]) {
      expect(await refusal(await forged({}, { exp }))).toMatch(
        /^the (claims are malformed|token has expired)$/,
      );
    }
    expect(await refusal(await forged({}, { exp: 1e20 }))).toBe('the claims are malformed');
    expect(await refusal(await forged({}, { exp: now + 901, iat: now }))).toBe('the claims are malformed');
    expect(await refusal(await forged({}, { iat: undefined }))).toBe('the claims are malformed');
  });

  test('a claim that is missing or has another shape is refused', async () => {
    for (const claim of ['sub', 'sid', 'jti', 'client_id', 'auth_time', 'acr', 'amr']) {
      for (const value of [undefined, null, 1.5, true, '', [], {}, [1], 'x'.repeat(200)]) {
        expect(await refusal(await forged({}, { [claim]: value }))).toBe('the claims are malformed');
      }
    }
    const upper = String(taken.claims['sid']).toUpperCase();
    expect(await refusal(await forged({}, { sid: upper }))).toBe('the claims are malformed');
    const { privateKey } = await started.key();
    for (const payload of ['"text"', 'null', '[]', '1', '{', '', `${JSON.stringify(taken.claims)} `]) {
      expect(await refusal(forge(taken.header, payload, privateKey))).toMatch(
        /^the (claims are malformed|token is for another audience|token is from another issuer|signature does not hold)$/,
      );
    }
    const twice = JSON.stringify(taken.claims).replace('{', '{"sub":"00000000-0000-0000-0000-000000000000",');
    expect(await refusal(forge(taken.header, twice, privateKey))).toBe('the claims are malformed');
  });

  test('a token says what its session says, or is refused', async () => {
    const contradictions = [
      { sub: '00000000-0000-7000-8000-000000000000' },
      { client_id: 'another-client' },
      { acr: 'aal2' },
      { auth_time: Number(taken.claims['auth_time']) + 1 },
      { amr: ['pwd', 'otp'] },
    ];
    for (const contradiction of contradictions) {
      expect(await refusal(await forged({}, contradiction))).toBe('the token contradicts its session');
    }
    expect(await refusal(await forged({}, { sid: '00000000-0000-7000-8000-000000000000' }))).toBe(
      'the session is unknown',
    );
  });
});

describe('The form of an access token', () => {
  test('JWT-17 a signature in any other encoding is refused', async () => {
    const [header, payload, signature] = taken.parts;
    const { privateKey } = await started.key();
    const n = Buffer.from('ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551', 'hex');
    const zero = Buffer.alloc(32);
    const bytes = Buffer.from(signature, 'base64url');
    const signatures = [
      createSign('sha256').update(`${header}.${payload}`).sign(privateKey), // DER
      Buffer.concat([zero, zero]),
      Buffer.concat([n, n]),
      Buffer.concat([n, bytes.subarray(32)]),
      Buffer.concat([bytes.subarray(0, 32), n]),
      Buffer.concat([bytes.subarray(0, 32), zero]),
      bytes.subarray(0, 63),
      bytes.subarray(0, 32),
      Buffer.concat([bytes, Buffer.of(0)]),
      Buffer.concat([Buffer.of(0), bytes]),
      Buffer.concat([bytes.subarray(32), bytes.subarray(0, 32)]),
    ];
    for (const each of signatures) {
      expect(await refusal(`${header}.${payload}.${each.toString('base64url')}`)).toBe(
        'the signature does not hold',
      );
    }
  });

  test('JWT-17 a token has three parts, none of them empty', async () => {
    const [header, payload, signature] = taken.parts;
    const texts = [
      ...[
        header,
        `${header}.${payload}`,
        `${header}.${payload}.`,
        `.${payload}.${signature}`,
        `.${header}.${payload}.${signature}`,
      ],
      ...[
        `${token}.`,
        `${token}.${signature}`,
        `${token}.x.y`,
        '.',
        '..',
        '...',
        `${header}..${signature}.${payload}`,
      ],
    ];
    for (const text of texts) expect(await refusal(text)).toBe('the token is not in compact form');
  });

  test('JWT-17 no second spelling of a part is the same token', async () => {
    const [header, payload, signature] = taken.parts;
    const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';
    // 64 bytes end in a character of which four bits are not used.
    const last = alphabet.indexOf(signature.at(-1)!);
    const loose = signature.slice(0, -1) + alphabet[last + 1]!;
    expect(Buffer.from(loose, 'base64url').equals(Buffer.from(signature, 'base64url'))).toBe(true);
    expect(await refusal(`${header}.${payload}.${loose}`)).toBe('the token is not in compact form');
    for (const text of [`${token}=`, `${token}==`, `${header}=.${payload}.${signature}`]) {
      expect(await refusal(text)).toBe('the Authorization header is malformed');
    }
  });

  test('JWT-24 other JOSE shapes are refused at once', async () => {
    const bomb = deflateRawSync(Buffer.alloc(1_000_000)).toString('base64url');
    const jwe = encode({ alg: 'dir', enc: 'A256GCM' });
    const pbes = encode({ alg: 'PBES2-HS512+A256KW', enc: 'A256GCM', p2c: 2_000_000_000, p2s: 'AAAA' });
    const [header, payload, signature] = taken.parts;
    const zipped = `${encode({ ...taken.header, zip: 'DEF' })}.${bomb}.${signature}`;
    const nested = `${encode({ ...taken.header, cty: 'JWT' })}.${encode(token)}.${signature}`;
    const encrypted = [`${jwe}..AAAA.AAAA.AAAA`, `${pbes}.AAAA.AAAA.AAAA.AAAA`];
    const verifier = started.app.get(AccessTokenVerifier);
    for (const shape of [zipped, nested, ...encrypted]) {
      const began = performance.now();
      await expect(verifier.verify(shape)).rejects.toThrow();
      expect(performance.now() - began).toBeLessThan(50);
    }
    for (const shape of encrypted) expect(await refusal(shape)).toBe('the token is not in compact form');
    for (const shape of [zipped, nested]) {
      expect(await refusal(shape)).toBe('the token header has unknown or missing members');
    }
    for (const json of [
      JSON.stringify({ protected: header, payload, signature }),
      JSON.stringify({ payload, signatures: [{ protected: header, signature }] }),
    ]) {
      expect(await refusal(json)).toBe('the Authorization header is malformed');
    }
  });

  test('a token that is longer than 4 KiB is refused unread', async () => {
    expect(await refusal(`${taken.parts[0]}.${'A'.repeat(4096)}.${taken.parts[2]}`)).toBe(
      'the token is too long',
    );
    expect(await refusal('A'.repeat(4097))).toBe('the token is too long');
    expect(await refusal('A'.repeat(4096))).toBe('the token is not in compact form');
  });

  test('V9.1.1 what does not verify costs the database nothing', async () => {
    const query = vi.spyOn(started.app.get(UnitOfWork), 'query');
    const [header, payload, signature] = taken.parts;
    for (const text of [
      'x',
      `${header}.${payload}.${'A'.repeat(86)}`,
      `${header}.${encode('{}')}.${signature}`,
    ]) {
      await refusal(text);
    }
    expect(query).not.toHaveBeenCalled();
    query.mockRestore();
  });

  test('JWT-27 whatever the cause, the caller sees one and the same refusal', async () => {
    const now = started.clock.nowSeconds();
    const ended = await started.open();
    await started.ask(ended.accessToken);
    await started.app.get(SessionsService).end(ended.sessionId, 'logout');
    const causes = {
      expired: await forged({}, { iat: now - 1000, exp: now - 100 }),
      signature: `${taken.parts[0]}.${taken.parts[1]}.${'A'.repeat(86)}`,
      key: await forged({ kid: 'unknown' }),
      ended: ended.accessToken,
      garbage: 'garbage',
    };
    const answers = [];
    for (const [cause, text] of Object.entries(causes)) {
      const { status, headers, text: body } = await started.ask(text);
      expect([cause, headers['www-authenticate']]).toEqual([cause, 'Bearer error="invalid_token"']);
      answers.push(JSON.stringify({ status, headers: { ...headers, date: undefined }, body }));
    }
    expect(new Set(answers).size).toBe(1);
    // The operator is told them apart.
    expect(new Set(started.events.slice(-5).map(({ reason }) => reason)).size).toBe(5);
  });
});
