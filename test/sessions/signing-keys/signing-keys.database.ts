import { type KeyObject } from 'node:crypto';
import pg from 'pg';
import { FieldCipher } from '../../../src/encryption/field-cipher.js';
import {
  exportPrivateKey,
  makeSigningKey,
  publicJwkOf,
} from '../../../src/sessions/signing-keys/signing-key.js';
import { signingKeyScheduleOf } from '../../../src/sessions/signing-keys/signing-key.schedule.js';
import { SigningKeys } from '../../../src/sessions/signing-keys/signing-keys.js';
import { createTestDatabase, type TestDatabase } from '../../support/database.js';
import { answerOf, startSessions, type Started, type StartOptions } from '../sessions-application.js';

/** Without options, and with the tolerance that is the default. */
export const SCHEDULE = signingKeyScheduleOf({ clockToleranceSeconds: 5 });

export interface KeyRow {
  readonly kid: string;
  readonly algorithm: string;
  readonly state: string;
  readonly private_sealed: Buffer;
  readonly public_jwk: Record<string, string>;
}

/** A database with its owner's hands in `sessions.signing_key`, and the applications that run on it. */
export class KeysDatabase {
  readonly #running: Started[] = [];

  private constructor(
    readonly database: TestDatabase,
    readonly owner: pg.Client,
  ) {}

  static async open(): Promise<KeysDatabase> {
    const database = await createTestDatabase();
    const owner = new pg.Client({ connectionString: database.ownerUrl });
    await owner.connect();
    return new KeysDatabase(database, owner);
  }

  async close(): Promise<void> {
    await Promise.all(this.#running.map(({ app }) => app.close()));
    await this.owner.end();
    await this.database.drop();
  }

  async start(options: Partial<StartOptions> = {}): Promise<Started> {
    const started = await startSessions({ database: this.database, ...options });
    this.#running.push(started);
    return started;
  }

  async rows(): Promise<KeyRow[]> {
    return (await this.owner.query<KeyRow>('SELECT * FROM sessions.signing_key ORDER BY created_at')).rows;
  }

  /** Key by key: its state. */
  async states(): Promise<Record<string, string>> {
    return Object.fromEntries((await this.rows()).map(({ kid, state }) => [kid, state]));
  }

  /** What somebody does who can write into the table, with the event that the database wants. */
  async write(sql: string, values: unknown[] = []): Promise<void> {
    await this.owner.query('BEGIN');
    try {
      await this.owner.query("INSERT INTO audit.pending (id, entry) VALUES (gen_random_uuid(), '{}')");
      await this.owner.query(sql, values);
      await this.owner.query('COMMIT');
    } catch (error) {
      await this.owner.query('ROLLBACK');
      throw error;
    }
  }

  /** Lets time go by for one key: as its row says, it was published, activated and retired that much earlier. */
  async age(kid: string, seconds: number): Promise<void> {
    await this.write(
      `UPDATE sessions.signing_key SET created_at = created_at - make_interval(secs => $2),
              activated_at = activated_at - make_interval(secs => $2),
              retired_at = retired_at - make_interval(secs => $2),
              accepted_until = accepted_until - make_interval(secs => $2) WHERE kid = $1`,
      [kid, seconds],
    );
  }

  /** Lets the active key come to the end of its life, and the one that follows be published long enough. */
  async rotate(by: Started): Promise<string> {
    const keys = by.app.get(SigningKeys);
    await this.age((await keys.active()).kid, SCHEDULE.lifetimeSeconds);
    if (!(await keys.rotateIfDue())) throw new Error('no key was published');
    const next = await this.next();
    await this.age(next, SCHEDULE.publicationSeconds);
    if (!(await keys.rotateIfDue())) throw new Error('no key was activated');
    return next;
  }

  /** The key that is to follow. */
  async next(): Promise<string> {
    const [next] = Object.entries(await this.states()).find(([, state]) => state === 'next') ?? [];
    if (next === undefined) throw new Error('no key is to follow');
    return next;
  }

  /** Adds a key as another replica would that is about to rotate to it. */
  async addNext(by: Started, privateKey?: KeyObject): Promise<string> {
    const key = await makeSigningKey();
    const pkcs8 = privateKey?.export({ type: 'pkcs8', format: 'der' }) ?? exportPrivateKey(key);
    const cell = { table: 'sessions.signing_key', column: 'private_sealed', row: key.kid };
    await this.write(
      `INSERT INTO sessions.signing_key (kid, algorithm, public_jwk, private_sealed, state)
       VALUES ($1, 'ES256', $2, $3, 'next')`,
      [key.kid, JSON.stringify(await publicJwkOf(key)), await by.app.get(FieldCipher).seal(cell, pkcs8)],
    );
    return key.kid;
  }

  /** What the audit log was given of the keys, in order. */
  async events(): Promise<[action: string, kid: string][]> {
    const { rows } = await this.owner.query<{ action: string; kid: string }>(
      `SELECT entry #>> '{metadata,event_code}' AS action, entry #>> '{unmapped,target,id}' AS kid
         FROM (SELECT recorded_at, id, convert_from(entry, 'UTF8')::jsonb AS entry FROM audit.pending) AS all_of_them
        WHERE entry #>> '{metadata,event_code}' LIKE 'key.%' ORDER BY recorded_at, id`,
    );
    return rows.map(({ action, kid }) => [action, kid]);
  }
}

export async function publishedBy({ url }: Started): Promise<Record<string, string>[]> {
  const { text } = await answerOf(`${url}/.well-known/jwks.json`);
  return (JSON.parse(text) as { keys: Record<string, string>[] }).keys;
}

/** How long after `since` (by `performance.now()`) a token was sent at the latest that was accepted yet. */
export async function acceptedFor(by: Started, token: () => string, since: number): Promise<number> {
  for (let longest = 0; ;) {
    const sentAfter = performance.now() - since;
    const { status } = await by.ask(token());
    if (status === 401) return longest;
    // Not judged at all when the machine is too busy to read the keys in time.
    if (status === 200) longest = sentAfter;
    else if (status !== 503) throw new Error(`neither accepted nor refused: ${status}`);
  }
}
