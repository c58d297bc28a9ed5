import pg from 'pg';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { BootError } from '../../src/core/zero-trust-error.js';
import { IntegrityError } from '../../src/encryption/encryption.errors.js';
import { createTestDatabase, type TestDatabase } from '../support/database.js';
import { Replica, newMasterKey } from './replica.js';

const TABLE = 'crm.customer';
const cell = { table: TABLE, column: 'email', row: '0197a2b4-0000-7000-8000-00000000000a' };

let database: TestDatabase;
let owner: pg.Client;
let replicas: Replica[] = [];

beforeAll(async () => {
  database = await createTestDatabase();
  owner = new pg.Client({ connectionString: database.ownerUrl });
  await owner.connect();
});

beforeEach(async () => {
  await Promise.all(replicas.map((replica) => replica.close()));
  replicas = [];
  await owner.query('TRUNCATE encryption.data_key');
});

afterAll(async () => {
  await Promise.all(replicas.map((replica) => replica.close()));
  await owner.end();
  await database.drop();
});

async function start(masterKey: string): Promise<Replica> {
  const replica = await Replica.open(database.appUrl, masterKey);
  replicas.push(replica);
  await replica.keys.onModuleInit();
  return replica;
}

async function rows(): Promise<
  { scope: string; scope_id: string; kek_id: string; short_id: number; key_id: string }[]
> {
  const { rows } = await owner.query(
    'SELECT * FROM encryption.data_key ORDER BY scope DESC, scope_id, version',
  );
  return rows as never;
}

/** Waits, without a timer of our own, until somebody in this database waits for another transaction. */
async function someoneWaits(): Promise<void> {
  for (let asked = 0; asked < 20_000; asked++) {
    const { rowCount } = await owner.query(
      `SELECT 1 FROM pg_locks JOIN pg_stat_activity USING (pid)
        WHERE datname = current_database() AND NOT granted`,
    );
    if (rowCount) return;
  }
  expect.unreachable('nobody waited');
}

describe('The key ring', () => {
  test('makes the key of the tenant at start and the key of a table at its first use, once', async () => {
    const replica = await start(newMasterKey());
    expect((await rows()).map(({ scope }) => scope)).toEqual(['tenant']);

    await replica.cipher.sealText(cell, 'a');
    await replica.cipher.sealText({ ...cell, column: 'phone' }, 'b');

    const [tenant, table, ...rest] = await rows();
    expect(rest).toEqual([]);
    expect(table).toMatchObject({ scope: 'table', scope_id: TABLE, kek_id: tenant!.key_id });
    expect(tenant).toMatchObject({ scope_id: '00000000-0000-0000-0000-000000000000' });
  });

  test('opens after a restart what was sealed before it, and on every replica', async () => {
    const masterKey = newMasterKey();
    const sealed = await (await start(masterKey)).cipher.sealText(cell, 'alice@example.test');

    const other = await start(masterKey);

    expect(await other.cipher.openText(cell, sealed)).toBe('alice@example.test');
  });

  test('ENC-10 another master key on a database with keys refuses to start, and prints neither', async () => {
    const [first, second] = [newMasterKey(), newMasterKey()];
    await start(first);

    const refusal: unknown = await start(second).catch((error: unknown) => error);

    expect(refusal).toBeInstanceOf(BootError);
    expect(String(refusal)).toContain('the master key does not open the keys of this database');
    expect(String(refusal)).toContain('wrapped under another key');
    expect(String(refusal)).not.toContain(first);
    expect(String(refusal)).not.toContain(second);
    expect(await rows()).toHaveLength(1);
  });

  test('a key of the tenant that somebody altered refuses to start', async () => {
    const masterKey = newMasterKey();
    await start(masterKey);
    await owner.query(
      `UPDATE encryption.data_key SET wrapped = set_byte(wrapped, 40, get_byte(wrapped, 40) # 1)`,
    );

    await expect(start(masterKey)).rejects.toThrow('(the wrapped data key does not open)');
  });

  test('many who seal at once in one process make one key', async () => {
    const replica = await start(newMasterKey());

    const sealed = await Promise.all(
      Array.from({ length: 50 }, () => replica.cipher.sealText(cell, 'value')),
    );

    expect(await rows()).toHaveLength(2);
    for (const each of sealed) expect(await replica.cipher.openText(cell, each)).toBe('value');
  });

  test('two processes that make the key of a table at once end with the same one', async () => {
    const masterKey = newMasterKey();
    const [left, right] = [await start(masterKey), await start(masterKey)];

    for (let round = 0; round < 20; round++) {
      const fresh = { ...cell, table: `crm.table_${round}` };
      const [a, b] = await Promise.all([left.cipher.sealText(fresh, 'a'), right.cipher.sealText(fresh, 'b')]);
      expect(a.subarray(0, 5)).toEqual(b.subarray(0, 5));
      expect(await right.cipher.openText(fresh, a)).toBe('a');
      expect(await left.cipher.openText(fresh, b)).toBe('b');
    }
    expect(await rows()).toHaveLength(21);
  });

  test('a process that finds the key of a table half made by another waits and takes that one', async () => {
    const masterKey = newMasterKey();
    const [left, right] = [await start(masterKey), await start(masterKey)];
    await left.cipher.sealText(cell, 'value');
    const made = (await rows())[1]!;
    await owner.query('DELETE FROM encryption.data_key WHERE key_id = $1', [made.key_id]);
    const other = new pg.Client({ connectionString: database.ownerUrl });
    await other.connect();
    await other.query('BEGIN');
    await other.query(
      'INSERT INTO encryption.data_key SELECT * FROM json_populate_record(NULL::encryption.data_key, $1)',
      [
        JSON.stringify({
          ...made,
          wrapped: `\\x${(made as never as { wrapped: Buffer }).wrapped.toString('hex')}`,
        }),
      ],
    );

    const sealing = right.cipher.sealText(cell, 'value');
    await someoneWaits();
    await other.query('COMMIT');
    await other.end();

    expect((await sealing).readInt32BE(1)).toBe(made.short_id);
    expect(await rows()).toHaveLength(2);
  });

  test('a key that was made for a transaction outlives its rollback: what it sealed may be elsewhere', async () => {
    const replica = await start(newMasterKey());
    let sealed: Buffer = Buffer.alloc(0);

    const work = replica.unitOfWork.run(async () => {
      sealed = await replica.cipher.sealText(cell, 'value');
      throw new Error('the business changed its mind');
    });

    await expect(work).rejects.toThrow('changed its mind');
    expect(await replica.cipher.openText(cell, sealed)).toBe('value');
    expect(await rows()).toHaveLength(2);
  });

  test('the first use of a table by as many transactions as there may be starves none of them', async () => {
    const replica = await start(newMasterKey());
    const units = 8; // of a pool of 10: a fifth stays for what is detached inside of them
    let arrived = 0;
    let allHere: () => void = () => undefined;
    const everyUnitOpen = new Promise<void>((resolve) => (allHere = resolve));

    const sealed = Array.from({ length: units }, () =>
      replica.unitOfWork.run(async () => {
        await replica.unitOfWork.query('SELECT 1');
        if (++arrived === units) allHere();
        await everyUnitOpen;
        return replica.cipher.sealText(cell, 'value');
      }),
    );

    expect(await Promise.all(sealed)).toHaveLength(units);
    expect(await rows()).toHaveLength(2);
  });

  test('ENC-08 a key that was taken out of use is refused when its life in memory is over', async () => {
    const replica = await start(newMasterKey());
    const sealed = await replica.cipher.sealText(cell, 'value');

    await owner.query(`UPDATE encryption.data_key SET state = 'retired' WHERE scope = 'table'`);
    replica.clock.now += 300_000;

    await expect(replica.cipher.openText(cell, sealed)).rejects.toThrow(IntegrityError);
    await expect(replica.cipher.sealText(cell, 'value')).rejects.toThrow(IntegrityError);
    expect(await rows()).toHaveLength(2);
  });

  test('a key that only opens still opens, and no new primary key is made in its place behind the back of whoever did it', async () => {
    const masterKey = newMasterKey();
    const replica = await start(masterKey);
    const old = await replica.cipher.sealText(cell, 'old');
    await owner.query(`UPDATE encryption.data_key SET state = 'decrypt_only' WHERE scope = 'table'`);

    const restarted = await start(masterKey);

    expect(await restarted.cipher.openText(cell, old)).toBe('old');
    // No primary is left: a new one would hide that somebody took it away.
    await expect(restarted.cipher.sealText(cell, 'new')).rejects.toThrow(IntegrityError);
  });
});

describe('Secrets derived by purpose', () => {
  test('are the same on every replica, and differ by purpose and by master key', async () => {
    const masterKey = newMasterKey();
    const [left, right] = [await start(masterKey), await start(masterKey)];
    await owner.query('TRUNCATE encryption.data_key');
    const foreign = await start(newMasterKey());
    const text = (replica: Replica, purpose: string): string =>
      replica.keys.deriveSecret(purpose).export().toString('hex');

    expect(text(left, 'identity.password')).toBe(text(right, 'identity.password'));
    expect(text(left, 'identity.password')).not.toBe(text(left, 'sessions.refresh'));
    expect(text(left, 'identity.password')).not.toBe(text(foreign, 'identity.password'));
    expect(left.keys.deriveSecret('identity.password').symmetricKeySize).toBe(32);
  });

  test.each(['', 'Sessions', 'a b', 'a\0b', '-a', 'a..b'])(
    'the purpose %j is a mistake of the programmer',
    async (purpose) => {
      const replica = await start(newMasterKey());

      expect(() => replica.keys.deriveSecret(purpose)).toThrow(TypeError);
    },
  );
});

describe('The rights of the application on its keys', () => {
  test.each([
    ['change', `UPDATE encryption.data_key SET state = 'destroyed', wrapped = ''`],
    ['delete', 'DELETE FROM encryption.data_key'],
    ['truncate', 'TRUNCATE encryption.data_key'],
    ['drop', 'DROP TABLE encryption.data_key'],
    ['lock away', 'BEGIN; LOCK TABLE encryption.data_key IN ACCESS EXCLUSIVE MODE; COMMIT'],
  ])('do not let it %s one', async (_what, sql) => {
    const replica = await start(newMasterKey());

    await expect(replica.unitOfWork.query(sql)).rejects.toMatchObject({
      driverError: { code: '42501' },
    });
  });

  test.each([
    ['a second primary key of a scope', `version = 2, short_id = short_id + 1`, '23505'],
    ['two keys with one short id', `version = 2, state = 'decrypt_only'`, '23505'],
    ['two keys with one version', `short_id = short_id + 1, state = 'decrypt_only'`, '23505'],
    ['a key without bytes that is not destroyed', `version = 2, state = 'retired', wrapped = ''`, '23514'],
    ['an unknown state', `version = 2, short_id = short_id + 1, state = 'gone'`, '23514'],
  ])('ENC-10 the table refuses %s', async (_what, change, code) => {
    await start(newMasterKey());
    const columns = 'key_id, tenant_id, scope, scope_id, version, kek_id, wrapped, state, short_id'.split(
      ', ',
    );
    const changed = new Map(change.split(', ').map((part) => part.split(' = ') as [string, string]));
    const values = columns.map((column) =>
      column === 'key_id' ? 'gen_random_uuid()' : (changed.get(column) ?? column),
    );

    const copy = owner.query(
      `INSERT INTO encryption.data_key (${columns.join(', ')}) SELECT ${values.join(', ')} FROM encryption.data_key`,
    );

    await expect(copy).rejects.toMatchObject({ code });
  });
});
