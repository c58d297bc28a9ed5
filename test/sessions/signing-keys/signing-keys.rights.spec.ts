import pg from 'pg';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { KeysDatabase } from './signing-keys.database.js';

let house: KeysDatabase;
beforeEach(async () => {
  house = await KeysDatabase.open();
});
afterEach(() => house.close());

describe('What the database lets the application do with its keys', () => {
  const withEvent = async (sql: string, values: unknown[] = []): Promise<void> => {
    const app = new pg.Client({ connectionString: house.database.appUrl });
    await app.connect();
    try {
      await app.query('BEGIN');
      await app.query("INSERT INTO audit.pending (id, entry) VALUES (gen_random_uuid(), '{}')");
      await app.query(sql, values);
      await app.query('COMMIT');
    } finally {
      await app.end();
    }
  };

  test('JWT-22 a key never comes back, and is never accepted longer than was said', async () => {
    const started = await house.start();
    const first = (await started.key()).kid;
    const second = await house.rotate(started);
    for (const sql of [
      `UPDATE sessions.signing_key SET state = 'next', activated_at = NULL, retired_at = NULL, accepted_until = NULL WHERE kid = '${first}'`,
      `UPDATE sessions.signing_key SET accepted_until = accepted_until + interval '1 second' WHERE kid = '${first}'`,
      `UPDATE sessions.signing_key SET accepted_until = 'infinity' WHERE kid = '${first}'`,
      `UPDATE sessions.signing_key SET state = 'next', activated_at = NULL WHERE kid = '${second}'`,
      // With no other in its place: the index is not what refuses it.
      `WITH given_up AS (UPDATE sessions.signing_key SET state = 'retired', retired_at = now(), accepted_until = now() WHERE kid = '${second}')
       UPDATE sessions.signing_key SET state = 'active', retired_at = NULL, accepted_until = NULL WHERE kid = '${first}'`,
    ]) {
      await expect(withEvent(sql)).rejects.toMatchObject({ code: 'ZT003' });
      await expect(house.write(sql)).rejects.toMatchObject({ code: 'ZT003' });
    }
    expect(await house.states()).toEqual({ [first]: 'retired', [second]: 'active' });
  });

  test('neither a key nor its name nor its age can be changed, and none deleted', async () => {
    await house.start();
    for (const set of [
      `kid = repeat('A', 43)`,
      `algorithm = 'RS256'`,
      `public_jwk = '{}'`,
      `private_sealed = ''`,
      'created_at = now()',
    ]) {
      await expect(withEvent(`UPDATE sessions.signing_key SET ${set}`)).rejects.toMatchObject({
        code: '42501',
      });
    }
    for (const sql of ['DELETE FROM sessions.signing_key', 'TRUNCATE sessions.signing_key']) {
      await expect(withEvent(sql)).rejects.toMatchObject({ code: '42501' });
    }
  });

  test('no private member is stored where everybody reads, and one key is to follow at most', async () => {
    const started = await house.start();
    const next = await house.addNext(started);
    const copy = (jwk: string): Promise<void> =>
      house.write(
        `INSERT INTO sessions.signing_key (kid, algorithm, public_jwk, private_sealed, state)
         SELECT repeat('B', 43), algorithm, ${jwk}, private_sealed, 'next' FROM sessions.signing_key WHERE kid = $1`,
        [next],
      );
    await expect(copy('public_jwk')).rejects.toMatchObject({ constraint: 'one_next_signing_key' });
    for (const member of ['d', 'p', 'q', 'dp', 'dq', 'qi', 'oth', 'k']) {
      await expect(copy(`public_jwk || '{"${member}": "AA"}'`)).rejects.toMatchObject({
        constraint: 'public_members_only',
      });
    }
  });
});
