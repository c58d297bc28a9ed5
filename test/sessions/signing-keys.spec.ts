import { generateKeyPairSync, type KeyObject } from 'node:crypto';
import pg from 'pg';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { BootError } from '../../src/core/zero-trust-error.js';
import { FieldCipher } from '../../src/encryption/field-cipher.js';
import { exportPrivateKey, makeSigningKey, publicJwkOf } from '../../src/sessions/signing-key.js';
import { SigningKeyStore } from '../../src/sessions/signing-key.store.js';
import { KEY_READ_COOLDOWN_MS, SigningKeys } from '../../src/sessions/signing-keys.js';
import { createTestDatabase, type TestDatabase } from '../support/database.js';
import { answerOf, forge, startSessions, takeApart, type Started } from './sessions-application.js';

let database: TestDatabase;
let owner: pg.Client;
let running: Started[];

beforeEach(async () => {
  database = await createTestDatabase();
  owner = new pg.Client({ connectionString: database.ownerUrl });
  await owner.connect();
  running = [];
});
afterEach(async () => {
  await Promise.all(running.map(({ app }) => app.close()));
  await owner.end();
  await database.drop();
});

async function start(): Promise<Started> {
  const started = await startSessions({ database });
  running.push(started);
  return started;
}

interface Row {
  kid: string;
  algorithm: string;
  state: string;
  private_sealed: Buffer;
  public_jwk: Record<string, string>;
}

async function rows(): Promise<Row[]> {
  return (await owner.query<Row>('SELECT * FROM sessions.signing_key')).rows;
}

/** What somebody does who can write into the table, with the event that the database wants. */
async function write(sql: string, values: unknown[] = []): Promise<void> {
  await owner.query('BEGIN');
  await owner.query("INSERT INTO audit.pending (id, entry) VALUES (gen_random_uuid(), '{}')");
  await owner.query(sql, values);
  await owner.query('COMMIT');
}

/** Adds a key as another replica would that is about to rotate to it. */
async function addNext(by: Started, privateKey?: KeyObject, kid?: string): Promise<string> {
  const key = await makeSigningKey();
  const id = kid ?? key.kid;
  const pkcs8 = privateKey?.export({ type: 'pkcs8', format: 'der' }) ?? exportPrivateKey(key);
  const cell = { table: 'sessions.signing_key', column: 'private_sealed', row: id };
  await write(
    `INSERT INTO sessions.signing_key (kid, algorithm, public_jwk, private_sealed, state)
     VALUES ($1, 'ES256', $2, $3, 'next')`,
    [id, JSON.stringify(await publicJwkOf(key)), await by.app.get(FieldCipher).seal(cell, pkcs8)],
  );
  return id;
}

describe('The first signing key', () => {
  test('replicas that start at once agree on one active key, made and recorded once', async () => {
    const replicas = await Promise.all(Array.from({ length: 4 }, () => start()));

    const stored = await rows();
    expect(stored.map(({ state }) => state)).toEqual(['active']);
    const kids = await Promise.all(replicas.map(async ({ key }) => (await key()).kid));
    expect(new Set(kids)).toEqual(new Set([stored[0]!.kid]));
    const entries = await owner.query<{ entry: string }>(
      `SELECT convert_from(entry, 'UTF8') AS entry FROM audit.pending WHERE convert_from(entry, 'UTF8') LIKE '%key.created%'`,
    );
    expect(entries.rows.length).toBe(1);
    // Each accepts what another one issued.
    const { accessToken } = await replicas[0]!.open();
    for (const { ask } of replicas) expect((await ask(accessToken)).status).toBe(200);
  });

  test('it is found again after a restart', async () => {
    const { kid } = await (await start()).key();
    expect((await (await start()).key()).kid).toBe(kid);
    expect((await rows()).length).toBe(1);
  });

  test('its private part is sealed where it is stored', async () => {
    const { privateKey, publicKey } = await (await start()).key();
    const [stored] = await rows();
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
    await start();
    await expect(
      owner.query(
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
    const kid = await addNext(await start(), make());
    const fresh = await start();
    expect(await fresh.app.get(SigningKeys).find(kid)).toBeUndefined();
    // The good key goes on.
    expect((await fresh.ask((await fresh.open()).accessToken)).status).toBe(200);
  });

  test('JWT-21 an active key that does not open stops the start, and the text names no key', async () => {
    await start();
    const [{ kid }] = (await rows()) as [Row];
    await write(
      `UPDATE sessions.signing_key SET private_sealed = set_byte(private_sealed, 60, get_byte(private_sealed, 60) # 1)`,
    );
    const refusal = await startSessions({ database }).then(
      () => undefined,
      (error: unknown) => error,
    );
    expect(refusal).toBeInstanceOf(BootError);
    expect((refusal as BootError).message).toContain('sessions.signing_key: the active key does not open');
    expect((refusal as BootError).message).not.toContain(kid);
  });

  test('V9.1.3 a key that somebody wrote into the table verifies nothing', async () => {
    const started = await start();
    const attacker = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const { claims, header } = takeApart((await started.open()).accessToken);
    const { calculateJwkThumbprint, exportJWK } = await import('jose');
    const jwk = await exportJWK(attacker.publicKey);
    const kid = await calculateJwkThumbprint(jwk, 'sha256');
    await write(
      `INSERT INTO sessions.signing_key (kid, algorithm, public_jwk, private_sealed, state)
       SELECT $1, 'ES256', $2, private_sealed, 'next' FROM sessions.signing_key`,
      [kid, JSON.stringify({ ...jwk, kid, alg: 'ES256', use: 'sig' })],
    );
    const fresh = await start();
    expect((await fresh.ask(forge({ ...header, kid }, claims, attacker.privateKey))).status).toBe(401);
    expect((await fresh.ask(forge(header, claims, attacker.privateKey))).status).toBe(401);
    expect(fresh.events.map(({ action }) => action)).toContain('encryption.integrity-failed');
    expect(
      JSON.stringify(JSON.parse((await answerOf(`${fresh.url}/.well-known/jwks.json`)).text)),
    ).not.toContain(kid);
  });
});

describe('Keys that are not known yet', () => {
  test('JWT-23 a flood of unknown key ids reads the keys once in 30 seconds, and never two at a time', async () => {
    const started = await start();
    const { accessToken } = await started.open();
    const { header, claims } = takeApart(accessToken);
    const { privateKey } = await started.key();
    const read = vi.spyOn(started.app.get(SigningKeyStore), 'usable');
    const flood = async (count: number): Promise<void> => {
      const tokens = Array.from({ length: count }, (_, at) =>
        forge({ ...header, kid: `unknown-${at}` }, claims, privateKey),
      );
      const statuses = await Promise.all(tokens.map(async (each) => (await started.ask(each)).status));
      expect(new Set(statuses)).toEqual(new Set([401]));
    };

    await flood(30);
    expect(read).toHaveBeenCalledTimes(0);
    started.clock.now += KEY_READ_COOLDOWN_MS;
    await flood(100);
    expect(read).toHaveBeenCalledTimes(1);
    started.clock.now += KEY_READ_COOLDOWN_MS - 1;
    await flood(30);
    expect(read).toHaveBeenCalledTimes(1);
    started.clock.now += 1;
    await flood(30);
    expect(read).toHaveBeenCalledTimes(2);
    expect((await started.ask(accessToken)).status).toBe(200);
  });

  test('JWT-23 a key that another replica has made is found, for all who ask at that moment', async () => {
    const started = await start();
    const kid = await addNext(await start());
    const keys = started.app.get(SigningKeys);
    expect(await keys.find(kid)).toBeUndefined();
    started.clock.now += KEY_READ_COOLDOWN_MS;
    const found = await Promise.all(Array.from({ length: 20 }, async () => keys.find(kid)));
    expect(found.map((key) => key?.kid)).toEqual(Array.from({ length: 20 }, () => kid));
    // It does not sign: it is not active yet.
    expect((await started.key()).kid).not.toBe(kid);
  });

  test('JWT-23 a clock that was set back does not lengthen the wait', async () => {
    const started = await start();
    const kid = await addNext(started);
    started.clock.now -= 3_600_000;
    expect((await started.app.get(SigningKeys).find(kid))?.kid).toBe(kid);
  });

  test('JWT-23 keys that cannot be read are asked for once in 30 seconds too, and the known ones go on', async () => {
    const started = await start();
    const keys = started.app.get(SigningKeys);
    const read = vi.spyOn(started.app.get(SigningKeyStore), 'usable').mockRejectedValue(new Error('down'));
    started.clock.now += KEY_READ_COOLDOWN_MS;
    await expect(keys.find('unknown')).rejects.toThrow('down');
    expect(await keys.find('unknown')).toBeUndefined();
    expect(read).toHaveBeenCalledTimes(1);
    expect((await keys.find((await started.key()).kid))?.algorithm).toBe('ES256');
  });

  test('a retired key neither signs nor verifies once the keys are read again', async () => {
    const started = await start();
    const kid = await addNext(started);
    started.clock.now += KEY_READ_COOLDOWN_MS;
    const keys = started.app.get(SigningKeys);
    expect(await keys.find(kid)).toBeDefined();
    await write(
      `UPDATE sessions.signing_key SET state = 'retired', activated_at = now(), retired_at = now() WHERE kid = $1`,
      [kid],
    );
    started.clock.now += KEY_READ_COOLDOWN_MS;
    await keys.find('unknown');
    expect(await keys.find(kid)).toBeUndefined();
  });
});

describe('JWT-26 The published keys', () => {
  test('JWT-26 have public members alone, and say what pins them', async () => {
    const started = await start();
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

  test('JWT-26 include the next key before it is used', async () => {
    const kid = await addNext(await start());
    const { keys } = JSON.parse((await answerOf(`${(await start()).url}/.well-known/jwks.json`)).text) as {
      keys: { kid: string }[];
    };
    expect(keys.map((key) => key.kid)).toContain(kid);
    expect(keys.length).toBe(2);
  });

  test('JWT-26 verify our tokens for somebody who has nothing else', async () => {
    const started = await start();
    const { createRemoteJWKSet, jwtVerify } = await import('jose');
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
