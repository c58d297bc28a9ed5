import fc from 'fast-check';
import pg from 'pg';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { ZeroTrustError } from '../../src/core/zero-trust-error.js';
import { IntegrityError } from '../../src/encryption/encryption.errors.js';
import { createTestDatabase, type TestDatabase } from '../support/database.js';
import { Replica, newMasterKey } from './replica.js';

const cell = { table: 'crm.customer', column: 'email', row: '0197a2b4-0000-7000-8000-00000000000a' };
const masterKey = newMasterKey();

let database: TestDatabase;
let owner: pg.Client;
let replica: Replica;

beforeAll(async () => {
  database = await createTestDatabase();
  owner = new pg.Client({ connectionString: database.ownerUrl });
  await owner.connect();
  await owner.query(
    `CREATE SCHEMA crm; CREATE TABLE crm.customer (id uuid PRIMARY KEY, email bytea, phone bytea);
     GRANT USAGE ON SCHEMA crm TO zt_app; GRANT SELECT, INSERT ON crm.customer TO zt_app`,
  );
  replica = await Replica.open(database.appUrl, masterKey);
  await replica.keys.onModuleInit();
});

beforeEach(() => {
  replica.recorded.length = 0;
});

afterAll(async () => {
  await replica.close();
  await owner.end();
  await database.drop();
});

/** What a caller could learn from a failure, and what was recorded of it. */
async function failureOf(
  opening: Promise<unknown>,
): Promise<{ heard: object; reasons: (string | undefined)[] }> {
  replica.recorded.length = 0;
  const error: unknown = await opening.then(
    (value) => expect.unreachable(`opened to ${String(value)}`),
    (thrown: unknown) => thrown,
  );
  expect(error).toBeInstanceOf(IntegrityError);
  const { code, status, headers, errors } = error as IntegrityError;
  return { heard: { code, status, headers, errors }, reasons: replica.recorded.map(({ reason }) => reason) };
}

describe('A sealed field', () => {
  test.each([
    ['empty', ''],
    ['emoji', '🦊👩‍👩‍👧‍👦'],
    ['NUL and control characters', '\0\u0001\u007f\ufeff'],
    ['1 MB', 'ü'.repeat(512 * 1024)],
    ['a number as text', '-0.1e-7'],
    ['a date as text', new Date(0).toISOString()],
    ['JSON as text', JSON.stringify({ a: [null, '', 1.5] })],
    ['decomposed Unicode', 'e\u0301'],
  ])('ENC-12 %s comes back as it was, through the database', async (_what, text) => {
    const row = {
      ...cell,
      row: (await owner.query<{ id: string }>('SELECT gen_random_uuid() AS id')).rows[0]!.id,
    };
    await replica.unitOfWork.query('INSERT INTO crm.customer (id, email, phone) VALUES ($1, $2, NULL)', [
      row.row,
      await replica.cipher.sealText(row, text),
    ]);

    const [stored] = await replica.unitOfWork.query<{ email: Buffer; phone: Buffer | null }>(
      'SELECT email, phone FROM crm.customer WHERE id = $1',
      [row.row],
    );

    expect(await replica.cipher.openText(row, stored!.email)).toBe(text);
    expect(stored!.phone).toBeNull();
  });

  test('ENC-12 any text and any bytes come back as they were', async () => {
    await fc.assert(
      fc.asyncProperty(fc.string({ unit: 'grapheme' }), fc.uint8Array(), async (text, array) => {
        const bytes = Buffer.from(array);
        expect(await replica.cipher.openText(cell, await replica.cipher.sealText(cell, text))).toBe(text);
        expect(await replica.cipher.open(cell, await replica.cipher.seal(cell, bytes))).toEqual(bytes);
      }),
    );
  });

  test('ENC-12 NULL is not sealed, and nothing opens to it', async () => {
    await expect(replica.cipher.sealText(cell, null as never)).rejects.toThrow(TypeError);
    await expect(replica.cipher.seal(cell, undefined as never)).rejects.toThrow(TypeError);
    await expect(replica.cipher.open(cell, null as never)).rejects.toThrow(TypeError);
    await expect(replica.cipher.open(cell, Buffer.alloc(0))).rejects.toThrow(IntegrityError);
  });

  test('text that UTF-8 cannot carry is refused as invalid, not changed in silence', async () => {
    await expect(replica.cipher.sealText(cell, 'a\ud800b')).rejects.toMatchObject({
      code: 'validation-failed',
    });
  });

  test('text does not open as bytes, nor bytes as text', async () => {
    await expect(replica.cipher.open(cell, await replica.cipher.sealText(cell, 'a'))).rejects.toThrow(
      TypeError,
    );
    await expect(
      replica.cipher.openText(cell, await replica.cipher.seal(cell, Buffer.of(65))),
    ).rejects.toThrow(TypeError);
  });

  test('is 46 bytes longer than its value, and never the same twice', async () => {
    const sealed = await Promise.all(
      Array.from({ length: 100 }, () => replica.cipher.sealText(cell, 'same')),
    );

    expect(new Set(sealed.map((each) => each.toString('hex'))).size).toBe(100);
    expect(sealed[0]!.length).toBe(4 + 46);
  });

  test('ENC-01 leaves no trace of its value in the row, the heap file or the write-ahead log', async () => {
    const superuser = new pg.Client({ connectionString: database.superuserUrl });
    await superuser.connect();
    const { rows: before } = await superuser.query<{ lsn: string }>('SELECT pg_current_wal_lsn() AS lsn');
    const secret = 'DE89370400440532013000-marker';
    const row = { ...cell, row: '0197a2b4-0000-7000-8000-0000000000e1' };
    const insert = 'INSERT INTO crm.customer (id, email, phone) VALUES ($1, $2, $3)';
    const control = Buffer.from('control-value-that-is-not-sealed');
    await replica.unitOfWork.query(insert, [row.row, await replica.cipher.sealText(row, secret), control]);
    // One value may lie across the border of two pages of the log: not three of them.
    for (const last of ['e2', 'e3']) {
      const beside = { ...row, row: row.row.replace(/..$/, last) };
      await replica.unitOfWork.query(insert, [
        beside.row,
        await replica.cipher.sealText(beside, secret),
        control,
      ]);
    }

    await superuser.query('CHECKPOINT');
    const { rows } = await superuser.query<Record<'heap' | 'wal', Buffer> & { stored: string }>(
      `SELECT pg_read_binary_file(pg_relation_filepath('crm.customer')) AS heap,
              (SELECT string_agg(pg_read_binary_file('pg_wal/' || name), ''::bytea ORDER BY name) FROM pg_ls_waldir()
                WHERE name BETWEEN pg_walfile_name($2) AND pg_walfile_name(pg_current_wal_lsn())) AS wal,
              (SELECT c::text FROM crm.customer c WHERE id = $1) AS stored`,
      [row.row, before[0]!.lsn],
    );
    await superuser.end();

    const { heap, wal, stored } = rows[0]!;
    const traces = [secret, Buffer.from(secret).toString('base64'), Buffer.from(secret).toString('hex')];
    for (const trace of traces) {
      expect(heap.includes(trace)).toBe(false);
      expect(wal.includes(trace)).toBe(false);
      expect(stored).not.toContain(trace);
    }
    expect(heap.includes(Buffer.from(secret, 'utf16le'))).toBe(false);
    // The search itself works: what was not sealed is found in both.
    expect(heap.includes(control)).toBe(true);
    expect(wal.includes(control)).toBe(true);
  });
});

describe('A sealed field that was touched', () => {
  test('ENC-02 every single byte counts: version, key, nonce, ciphertext and tag', async () => {
    const sealed = await replica.cipher.sealText(cell, 'alice@example.test');
    for (let at = 0; at < sealed.length; at++) {
      for (const bit of [0x01, 0x80]) {
        const flipped = Buffer.from(sealed);
        flipped[at] = flipped[at]! ^ bit;
        const { reasons } = await failureOf(replica.cipher.openText(cell, flipped));
        expect(reasons, `byte ${at}`).toHaveLength(1);
      }
    }
  });

  test('ENC-02 no part of it opens, and nothing can be added', async () => {
    const sealed = await replica.cipher.sealText(cell, 'alice@example.test');
    for (let length = 0; length < sealed.length; length++) {
      await failureOf(replica.cipher.openText(cell, sealed.subarray(0, length)));
    }
    await failureOf(replica.cipher.openText(cell, Buffer.concat([sealed, Buffer.of(0)])));
    await failureOf(replica.cipher.openText(cell, Buffer.concat([sealed, sealed])));
  });

  test.each([
    ['another row', { ...cell, row: '0197a2b4-0000-7000-8000-00000000000b' }],
    ['another column', { ...cell, column: 'phone' }],
    ['another table', { ...cell, table: 'crm.supplier' }],
    ['another schema', { ...cell, table: 'billing.customer' }],
  ])('does not open in %s, also when that one has a key', async (_where, other) => {
    const sealed = await replica.cipher.sealText(cell, 'alice@example.test');
    const theirs = await replica.cipher.sealText(other, 'bob@example.test');

    await failureOf(replica.cipher.openText(other, sealed));
    await failureOf(replica.cipher.openText(cell, theirs));
    expect(await replica.cipher.openText(other, theirs)).toBe('bob@example.test');
  });

  test('ENC-08 a key that nobody knows is an error of its own in the record, never plaintext', async () => {
    const sealed = await replica.cipher.sealText(cell, 'alice@example.test');
    sealed.writeInt32BE((sealed.readInt32BE(1) % (2 ** 31 - 1)) + 1, 1);

    const { reasons } = await failureOf(replica.cipher.openText(cell, sealed));

    expect(reasons).toEqual(['the data key is unknown']);
  });

  test('ENC-08 what was never sealed is refused, not passed through', async () => {
    for (const plaintext of ['alice@example.test', '\u0001alice@example.test', '\u0001'.repeat(60)]) {
      await failureOf(replica.cipher.openText(cell, Buffer.from(plaintext)));
    }
  });

  test('ENC-15 tampered, moved, truncated, foreign and unknown keys sound the same to the caller', async () => {
    const table = 'crm.oracle';
    const here = { ...cell, table };
    const sealed = await replica.cipher.sealText(here, 'value');
    const tampered = Buffer.from(sealed);
    tampered[40] = tampered[40]! ^ 1;
    const unknown = Buffer.from(sealed);
    unknown.writeInt32BE(1, 1);
    const elsewhere = await replica.cipher.sealText({ ...cell, table: 'crm.other' }, 'value');
    const failures = [
      await failureOf(replica.cipher.openText(here, tampered)),
      await failureOf(replica.cipher.openText(here, unknown)),
      await failureOf(replica.cipher.openText(here, elsewhere)),
      await failureOf(replica.cipher.openText(here, sealed.subarray(0, 20))),
      await failureOf(replica.cipher.openText({ ...here, row: 'other' }, sealed)),
    ];
    // A wrapped key that was damaged, then one whose bytes are gone: looked up again when its life is over.
    for (const change of [
      'wrapped = set_byte(wrapped, 40, get_byte(wrapped, 40) # 1)',
      `kek_id = 'another master key'`,
      `state = 'destroyed', wrapped = ''`,
    ]) {
      await owner.query(`UPDATE encryption.data_key SET ${change} WHERE scope_id = $1`, [table]);
      replica.clock.now += 300_000;
      failures.push(await failureOf(replica.cipher.openText(here, sealed)));
    }

    const heard = { code: 'internal-error', status: 500, headers: {}, errors: undefined };
    for (const failure of failures) expect(failure.heard).toEqual(heard);
    expect(new Set(failures.flatMap(({ reasons }) => reasons)).size).toBeGreaterThan(5);
  });

  test('is recorded with its table, column and row, and nothing else', async () => {
    const sealed = await replica.cipher.sealText(cell, 'alice@example.test');
    await failureOf(replica.cipher.openText({ ...cell, column: 'phone' }, sealed));

    expect(replica.recorded).toEqual([
      expect.objectContaining({
        action: 'encryption.integrity-failed',
        outcome: 'failure',
        delivery: 'detached',
        target: { type: 'row', id: cell.row },
        reason: 'the sealed value does not open in this cell',
        detail: { table: cell.table, column: 'phone' },
      }),
    ]);
    const recorded = JSON.stringify(replica.recorded);
    for (const encoding of ['hex', 'base64'] as const)
      expect(recorded).not.toContain(sealed.toString(encoding));
    expect(recorded).not.toContain('alice');
  });

  test('that cannot be recorded stays a refusal', async () => {
    const unsubscribe = replica.events.subscribe(() => Promise.reject(new Error('the audit log is down')));

    const opening = replica.cipher.open(cell, Buffer.alloc(60));

    await expect(opening).rejects.toMatchObject({ code: 'temporarily-unavailable' });
    unsubscribe();
  });

  test('in a listener that seals what it stores ends as a refusal, not in a circle', async () => {
    let calls = 0;
    const unsubscribe = replica.events.subscribe(async () => {
      calls++;
      await replica.cipher.open({ ...cell, table: 'audit.pending' }, Buffer.alloc(60));
    });

    const opening = replica.cipher.open(cell, Buffer.alloc(60));

    await expect(opening).rejects.toBeInstanceOf(ZeroTrustError);
    expect(calls).toBe(1);
    unsubscribe();
  });

  test('a cell that cannot be named is a mistake of the programmer, and no key is made for it', async () => {
    await expect(replica.cipher.sealText({ ...cell, table: 'customer' }, 'a')).rejects.toThrow(TypeError);
    await expect(replica.cipher.sealText({ ...cell, row: '' }, 'a')).rejects.toThrow(TypeError);

    const { rowCount } = await owner.query(`SELECT 1 FROM encryption.data_key WHERE scope_id = 'customer'`);
    expect(rowCount).toBe(0);
    expect(replica.recorded).toEqual([]);
  });
});
