import { createHash } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { uuidV7 } from '../../../src/core/uuid-v7.js';
import { createTestDatabase, type TestDatabase } from '../../support/database.js';
import { accessTokenOf, Edge, refreshTokenOf } from '../edge-application.js';
import { SessionRows } from '../session-rows.js';

let database: TestDatabase;
let superuser: SessionRows;
let one: Edge;
let two: Edge;

beforeAll(async () => {
  database = await createTestDatabase();
  superuser = await SessionRows.connect(database.superuserUrl);
  one = await Edge.start({ database });
  two = await Edge.start({ database, adapter: 'fastify' });
});
afterAll(async () => {
  await one.close();
  await two.close();
  await superuser.close();
  await database.drop();
});

/** The bytes of the write-ahead log since a place in it, as whoever steals a backup or a replica has them. */
async function walSince(lsn: string): Promise<Buffer> {
  // A server for tests writes it when it finds the time; one commit that waits for that takes everything with it. It must
  // have written something itself: a transaction that wrote nothing waits for nothing.
  await superuser.client.query(
    "BEGIN; SET LOCAL synchronous_commit = on; SELECT pg_logical_emit_message(true, 'test', 'flush'); COMMIT",
  );
  const { rows } = await superuser.client.query<{ bytes: Buffer }>(
    `SELECT pg_read_binary_file('pg_wal/' || name) AS bytes FROM pg_ls_waldir()
      WHERE name BETWEEN pg_walfile_name($1::pg_lsn + 1) AND pg_walfile_name(pg_current_wal_insert_lsn() + 1)
      ORDER BY name`,
    [lsn],
  );
  return Buffer.concat(rows.map(({ bytes }) => bytes));
}

describe('What is stored', () => {
  test('REF-15 the write-ahead log holds no token, current, old or refused, nor what one could be made of', async () => {
    const [{ lsn }] = (
      await superuser.client.query<{ lsn: string }>('SELECT pg_current_wal_insert_lsn() AS lsn')
    ).rows as [{ lsn: string }];
    const tokens: string[] = [];
    const hashes: Buffer[] = [];
    for (let count = 0; count < 5; count += 1) {
      const { sessionId, refreshToken, accessToken } = await one.open();
      const next = await two.refresh(refreshToken);
      tokens.push(refreshToken, accessToken, refreshTokenOf(next), accessTokenOf(next));
      hashes.push((await superuser.of(sessionId)).refreshHash);
      // Refused ones too: what is recorded of them.
      await one.refresh(refreshToken.toLowerCase());
      await superuser.ageRotation(sessionId, '11 s');
      expect((await one.refresh(refreshToken)).status).toBe(401);
    }
    const wal = await walSince(lsn);
    // The log is where we look, and what we look for would be found (a page may begin in the middle of one).
    expect(hashes.filter((hash) => wal.includes(hash)).length).toBeGreaterThanOrEqual(3);
    for (const token of tokens) {
      const isRefresh = token.startsWith('zt_refresh_');
      const bytes = Buffer.from(token.slice(isRefresh ? 'zt_refresh_'.length : 0), 'base64url');
      const secrets = isRefresh
        ? [bytes.subarray(16, 32), bytes.subarray(36), token.slice(35, 60), bytes.toString('hex', 16, 32)]
        : [token.split('.')[1]!.slice(0, 60), token.split('.')[2]!.slice(0, 40)];
      for (const secret of [token, bytes.toString('base64'), ...secrets])
        expect(wal.includes(secret)).toBe(false);
    }
  });

  test('REF-15 what a row holds of a family is SHA-256 of 128 random bits that only its tokens carry', async () => {
    const { sessionId, refreshToken } = await one.open();
    const secretOf = (token: string): Buffer =>
      Buffer.from(token.slice('zt_refresh_'.length), 'base64url').subarray(16, 32);
    const { refreshHash } = await superuser.of(sessionId);
    expect(refreshHash).toEqual(createHash('sha256').update(secretOf(refreshToken)).digest());
    expect(secretOf(refreshTokenOf(await one.refresh(refreshToken)))).toEqual(secretOf(refreshToken));
    expect(secretOf((await one.open()).refreshToken)).not.toEqual(secretOf(refreshToken));
  });

  test('REF-15 whoever can write the row, but has no key of ours, makes no token; whoever has the hash alone, neither', async () => {
    const [victim, thief] = [await one.open(), await one.open()];
    const { refreshHash } = await superuser.of(thief.sessionId);
    // The thief's own secret under the victim's session: the MAC still names the thief's.
    await superuser.client.query('BEGIN');
    await superuser.client.query("INSERT INTO audit.pending (id, entry) VALUES (gen_random_uuid(), '{}')");
    await superuser.client.query('UPDATE sessions.session SET refresh_hash = $1 WHERE id = $2', [
      refreshHash,
      victim.sessionId,
    ]);
    await superuser.client.query('COMMIT');
    const bytes = Buffer.from(thief.refreshToken.slice('zt_refresh_'.length), 'base64url');
    bytes.write(victim.sessionId.replaceAll('-', ''), 0, 'hex');
    expect((await one.refresh(`zt_refresh_${bytes.toString('base64url')}`)).status).toBe(401);
    expect(one.events.at(-1)?.reason).toBe('the refresh token is not one of ours');
    // And the victim's true token no longer fits its row: refused, not let in.
    expect((await two.refresh(victim.refreshToken)).status).toBe(401);
  });
});

describe('Fixation', () => {
  test('REF-17 a step-up leaves no identifier of before: session, refresh and access token are new, the old ones dead', async () => {
    const alice = uuidV7(Date.now());
    const before = await one.open({ subject: alice });
    const after = await two.sessions.replace(before.sessionId, { acr: 'aal2', amr: ['pwd', 'otp'] });
    expect(after.sessionId).not.toBe(before.sessionId);
    const old = Buffer.from(before.refreshToken.slice('zt_refresh_'.length), 'base64url');
    const fresh = Buffer.from(after.refreshToken.slice('zt_refresh_'.length), 'base64url');
    expect(fresh.subarray(16, 32)).not.toEqual(old.subarray(16, 32));
    for (const edge of [two, one]) expect((await edge.refresh(before.refreshToken)).status).toBe(401);
    expect(await two.ask(before.accessToken)).toBe(401);
    expect(await one.ask(after.accessToken)).toBe(200);
    expect((await one.refresh(after.refreshToken)).status).toBe(200);
    expect(await superuser.livingOf(alice)).toEqual([after.sessionId]);
  });

  test("REF-17 a token that somebody planted stays that somebody's own: who signs in beside it gets another", async () => {
    const [attacker, victim] = [uuidV7(Date.now()), uuidV7(Date.now() + 1)];
    const planted = await one.open({ subject: attacker, delivery: 'cookie' });
    const own = await one.open({ subject: victim, delivery: 'cookie' });
    const answer = await one.refreshByCookie(`__Host-refresh=${planted.refreshToken}`);
    expect(answer.headers.getSetCookie().join()).not.toContain(own.refreshToken.slice(11, 40));
    // Both planted and own at once: nobody guesses which one is meant.
    const both = `__Host-refresh=${planted.refreshToken}; __Host-refresh=${own.refreshToken}`;
    expect((await two.refreshByCookie(both)).status).toBe(401);
    expect((await two.refreshByCookie(`__Host-refresh=${own.refreshToken}`)).status).toBe(200);
  });
});
