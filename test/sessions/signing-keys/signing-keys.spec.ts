import { createRemoteJWKSet, jwtVerify } from 'jose';
import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { get } from 'node:http';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { BootError } from '../../../src/core/zero-trust-error.js';
import { UnitOfWork } from '../../../src/database/unit-of-work.js';
import { FreshnessFeed } from '../../../src/freshness/freshness.feed.js';
import { AccessTokenVerifier } from '../../../src/sessions/access-tokens/access-token.verifier.js';
import { KEYS_RELOAD_MS, KEYS_TRUSTED_MS } from '../../../src/sessions/signing-keys/signing-key.schedule.js';
import { SigningKeyStore } from '../../../src/sessions/signing-keys/signing-key.store.js';
import { KEY_READ_COOLDOWN_MS, SigningKeys } from '../../../src/sessions/signing-keys/signing-keys.js';
import { answerOf, forge, startSessions, takeApart } from '../sessions-application.js';
import { KeysDatabase, type KeyRow } from './signing-keys.database.js';

let house: KeysDatabase;

beforeEach(async () => {
  house = await KeysDatabase.open();
});
afterEach(() => house.close());

describe('The first signing key', () => {
  test('replicas that start at once agree on one active key, made and recorded once', async () => {
    const replicas = await Promise.all(Array.from({ length: 4 }, () => house.start()));

    const stored = await house.rows();
    expect(stored.map(({ state }) => state)).toEqual(['active']);
    const kids = await Promise.all(replicas.map(async ({ key }) => (await key()).kid));
    expect(new Set(kids)).toEqual(new Set([stored[0]!.kid]));
    expect(await house.events()).toEqual([['key.created', stored[0]!.kid]]);
    // Each accepts what another one issued.
    const { accessToken } = await replicas[0]!.open();
    for (const { ask } of replicas) expect((await ask(accessToken)).status).toBe(200);
  });

  test('it is found again after a restart', async () => {
    const { kid } = await (await house.start()).key();
    expect((await (await house.start()).key()).kid).toBe(kid);
    expect((await house.rows()).length).toBe(1);
  });

  test('its private part is sealed where it is stored', async () => {
    const { privateKey, publicKey } = await (await house.start()).key();
    const [stored] = await house.rows();
    const { d } = privateKey.export({ format: 'jwk' });
    const sealed = stored!.private_sealed.toString('latin1');
    for (const secret of [
      Buffer.from(d!, 'base64url'),
      privateKey.export({ type: 'pkcs8', format: 'der' }),
    ]) {
      expect(sealed.includes(secret.toString('latin1'))).toBe(false);
    }
    expect(stored!.public_jwk).toMatchObject(publicKey.export({ format: 'jwk' }));
    expect(stored!.public_jwk).not.toHaveProperty('d');
  });

  test('the database keeps one active key, whoever writes', async () => {
    await house.start();
    await expect(
      house.owner.query(
        `INSERT INTO sessions.signing_key SELECT repeat('A', 43), algorithm, public_jwk, private_sealed, 'active', now(), now()
           FROM sessions.signing_key`,
      ),
    ).rejects.toMatchObject({ constraint: 'one_active_signing_key' });
  });
});

describe('JWT-21 Signing material that is weak or missing', () => {
  test.each([
    ['an RSA key of 1024 bits', () => generateKeyPairSync('rsa', { modulusLength: 1024 }).privateKey],
    ['a key on another curve', () => generateKeyPairSync('ec', { namedCurve: 'P-384' }).privateKey],
    [
      'a key that is not the one of its id',
      () => generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey,
    ],
  ])('JWT-21 %s is not used, although we sealed it', async (_, make) => {
    const kid = await house.addNext(await house.start(), make());
    const fresh = await house.start();
    expect(await fresh.app.get(SigningKeys).find(kid)).toBeUndefined();
    // The good key goes on.
    expect((await fresh.ask((await fresh.open()).accessToken)).status).toBe(200);
  });

  test('JWT-21 an active key that does not open stops the start, and the text names no key', async () => {
    await house.start();
    const [{ kid }] = (await house.rows()) as [KeyRow];
    await house.write(
      `UPDATE sessions.signing_key SET private_sealed = set_byte(private_sealed, 60, get_byte(private_sealed, 60) # 1)`,
    );
    const refusal = await startSessions({ database: house.database }).then(
      () => undefined,
      (error: unknown) => error,
    );
    expect(refusal).toBeInstanceOf(BootError);
    expect((refusal as BootError).message).toContain('sessions.signing_key: the active key does not open');
    expect((refusal as BootError).message).not.toContain(kid);
  });

  test('V9.1.3 a key that somebody wrote into the table verifies nothing', async () => {
    const started = await house.start();
    const attacker = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const { claims, header } = takeApart((await started.open()).accessToken);
    const { calculateJwkThumbprint, exportJWK } = await import('jose');
    const jwk = await exportJWK(attacker.publicKey);
    const kid = await calculateJwkThumbprint(jwk, 'sha256');
    await house.write(
      `INSERT INTO sessions.signing_key (kid, algorithm, public_jwk, private_sealed, state)
       SELECT $1, 'ES256', $2, private_sealed, 'next' FROM sessions.signing_key`,
      [kid, JSON.stringify({ ...jwk, kid, alg: 'ES256', use: 'sig' })],
    );
    const fresh = await house.start();
    expect((await fresh.ask(forge({ ...header, kid }, claims, attacker.privateKey))).status).toBe(401);
    expect((await fresh.ask(forge(header, claims, attacker.privateKey))).status).toBe(401);
    expect(fresh.events.map(({ action }) => action)).toContain('encryption.integrity-failed');
    expect(
      JSON.stringify(JSON.parse((await answerOf(`${fresh.url}/.well-known/jwks.json`)).text)),
    ).not.toContain(kid);
  });
});

describe('Keys that are not known yet', () => {
  test('JWT-23 5,000 tokens with random key ids read the keys once, beside what the clock reads', async () => {
    const started = await house.start();
    const { accessToken } = await started.open();
    const { header, claims } = takeApart(accessToken);
    const { privateKey } = await started.key();
    const verifier = started.app.get(AccessTokenVerifier);
    const tokens = Array.from({ length: 5000 }, () =>
      forge({ ...header, kid: randomBytes(32).toString('base64url') }, claims, privateKey),
    );
    const read = vi.spyOn(started.app.get(SigningKeyStore), 'usable');
    const statements = vi.spyOn(started.app.get(UnitOfWork), 'query');
    const began = performance.now();
    const judged = await Promise.allSettled(tokens.map((each) => verifier.verify(each)));
    const byTheClock = Math.ceil((performance.now() - began) / KEYS_RELOAD_MS) + 1;

    expect(judged.filter(({ status }) => status === 'fulfilled')).toEqual([]);
    expect(read.mock.calls.length).toBeLessThanOrEqual(byTheClock + 1);
    expect(statements).not.toHaveBeenCalled();
    statements.mockRestore();
    expect((await started.ask(accessToken)).status).toBe(200);
  });

  test('JWT-23 a flood over HTTP costs one reading in 30 seconds, and honest callers stay served', async () => {
    const started = await house.start();
    const { accessToken } = await started.open();
    const { header, claims } = takeApart(accessToken);
    const { privateKey } = await started.key();
    const keys = started.app.get(SigningKeys);
    await keys.onModuleDestroy();
    // The feed tells of the first key, too.
    await started.app.get(FreshnessFeed).confirm();
    await keys.reload();
    // Whatever was read stays fresh: what is read now, an unknown id has caused.
    const now = performance.now();
    const monotonic = vi.spyOn(performance, 'now').mockReturnValue(now);
    const sought = vi.spyOn(started.app.get(SigningKeyStore), 'usable');
    const flood = async (count: number): Promise<void> => {
      const tokens = Array.from({ length: count }, (_, at) =>
        forge({ ...header, kid: `unknown-${at}` }, claims, privateKey),
      );
      const [statuses, honest] = await Promise.all([
        Promise.all(tokens.map(async (each) => (await started.ask(each)).status)),
        Promise.all(tokens.map(async () => (await started.ask(accessToken)).status)),
      ]);
      expect(new Set(statuses)).toEqual(new Set([401]));
      expect(new Set(honest)).toEqual(new Set([200]));
    };

    await flood(100);
    expect(sought).toHaveBeenCalledTimes(1);
    started.clock.now += KEY_READ_COOLDOWN_MS - 1;
    await flood(30);
    expect(sought).toHaveBeenCalledTimes(1);
    started.clock.now += 1;
    await flood(100);
    expect(sought).toHaveBeenCalledTimes(2);
    // A clock that was set back does not lengthen the wait.
    started.clock.now -= 3_600_000;
    await keys.find('unknown');
    expect(sought).toHaveBeenCalledTimes(3);
    monotonic.mockRestore();
  });

  test('JWT-23 a key that another replica has made is found, for all who ask at that moment', async () => {
    const started = await house.start();
    const keys = started.app.get(SigningKeys);
    await keys.onModuleDestroy();
    await keys.reload();
    const kid = await house.addNext(await house.start());
    const found = await Promise.all(Array.from({ length: 20 }, async () => keys.find(kid)));
    expect(found.map((key) => key?.kid)).toEqual(Array.from({ length: 20 }, () => kid));
    // It does not sign: it is not active yet.
    expect((await started.key()).kid).not.toBe(kid);
  });

  test('JWT-23 keys that cannot be read are asked for once in 30 seconds too, and the known ones go on', async () => {
    const started = await house.start();
    const keys = started.app.get(SigningKeys);
    await keys.onModuleDestroy();
    await keys.reload();
    const { kid } = await started.key();
    const read = vi.spyOn(started.app.get(SigningKeyStore), 'usable').mockRejectedValue(new Error('down'));
    await expect(keys.find('unknown')).rejects.toThrow('down');
    expect(await keys.find('unknown')).toBeUndefined();
    expect(read).toHaveBeenCalledTimes(1);
    expect((await keys.find(kid))?.algorithm).toBe('ES256');
  });

  test('keys that were read more than a second ago prove nothing: they are read again, or it is 503', async () => {
    const started = await house.start();
    const keys = started.app.get(SigningKeys);
    await keys.onModuleDestroy();
    await keys.reload();
    const { kid } = await started.key();
    const monotonic = vi.spyOn(performance, 'now');
    const later = performance.now() + KEYS_TRUSTED_MS;
    monotonic.mockImplementation(() => later);
    const read = vi.spyOn(started.app.get(SigningKeyStore), 'usable');

    expect((await keys.find(kid))?.kid).toBe(kid);
    expect(read).toHaveBeenCalledTimes(1);
    monotonic.mockImplementation(() => later + KEYS_TRUSTED_MS);
    read.mockRejectedValue(new Error('down'));
    for (const ask of [async () => keys.find(kid), () => keys.active(), () => keys.published()]) {
      await expect(ask()).rejects.toMatchObject({ code: 'temporarily-unavailable' });
    }
    // A database that does not answer at all is not waited for.
    read.mockReturnValue(new Promise(() => undefined));
    await expect(keys.find(kid)).rejects.toMatchObject({ code: 'temporarily-unavailable' });
    monotonic.mockRestore();
  });

  test('a reading that many wait for runs outside of the transaction of the one who asked first', async () => {
    const started = await house.start();
    const keys = started.app.get(SigningKeys);
    await keys.onModuleDestroy();
    const unitOfWork = started.app.get(UnitOfWork);
    const inside: boolean[] = [];
    const store = started.app.get(SigningKeyStore);
    const usable = store.usable.bind(store);
    vi.spyOn(store, 'usable').mockImplementation(() => {
      inside.push(unitOfWork.active);
      return usable();
    });
    await unitOfWork.run(() => keys.reload());
    expect(new Set(inside)).toEqual(new Set([false]));
  });
});

describe('JWT-26 The published keys', () => {
  test('JWT-26 have public members alone, and say what pins them', async () => {
    const started = await house.start();
    const answer = await answerOf(`${started.url}/.well-known/jwks.json`);
    const { kid, publicKey } = await started.key();
    const { x, y } = publicKey.export({ format: 'jwk' });
    expect(answer.status).toBe(200);
    expect(JSON.parse(answer.text)).toEqual({
      keys: [{ kty: 'EC', crv: 'P-256', x, y, kid, alg: 'ES256', use: 'sig' }],
    });
    expect(answer.headers['cache-control']).toBe('public, max-age=300');
    expect(answer.headers['content-type']).toMatch(/^application\/jwk-set\+json/);
  });

  test('JWT-26 are answered with 304 to whoever has them, and with 200 once they have changed', async () => {
    const started = await house.start();
    const url = `${started.url}/.well-known/jwks.json`;
    const { etag } = (await answerOf(url)).headers;
    expect(etag).toMatch(/^(W\/)?"[^"]+"$/);
    // Not by fetch, which adds what makes every cache step aside.
    const ask = (): Promise<number | undefined> =>
      new Promise((resolve, reject) => {
        get(url, { headers: { 'if-none-match': etag! } }, (response) => {
          resolve(response.resume().statusCode);
        }).on('error', reject);
      });
    expect(await ask()).toBe(304);
    await house.addNext(started);
    await started.app.get(SigningKeys).reload();
    expect(await ask()).toBe(200);
  });

  test('JWT-26 verify our tokens for somebody who has nothing else', async () => {
    const started = await house.start();
    const { accessToken } = await started.open();
    const jwks = createRemoteJWKSet(new URL(`${started.url}/.well-known/jwks.json`));
    const { issuer, audience } = {
      issuer: 'https://portal.example.test',
      audience: 'https://portal.example.test',
    };
    const { payload } = await jwtVerify(accessToken, jwks, { issuer, audience, typ: 'at+jwt' });
    expect(payload).toEqual(takeApart(accessToken).claims);
  });
});
