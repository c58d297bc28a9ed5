import { existsSync, mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { keysCommand } from '../../src/cli/keys.command.js';
import { runCli } from '../../src/cli/run-cli.js';
import { parseMasterKey } from '../../src/encryption/master-key.js';
import { createTestDatabase, type TestDatabase } from '../support/database.js';
import { Replica, newMasterKey } from './replica.js';

let database: TestDatabase;
let folder: string;

beforeAll(async () => {
  database = await createTestDatabase();
});
afterAll(() => database.drop());
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'keys-'));
});
afterEach(() => {
  rmSync(folder, { recursive: true, force: true });
});

interface Run {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

async function zeroTrust(argv: readonly string[], environment: Record<string, string> = {}): Promise<Run> {
  const lines = { out: [] as string[], err: [] as string[] };
  const code = await runCli([keysCommand], argv, {
    environment: { NODE_ENV: 'test', ...environment },
    out: (line) => void lines.out.push(line),
    err: (line) => void lines.err.push(line),
  });
  return { code, out: lines.out.join('\n'), err: lines.err.join('\n') };
}

describe('zero-trust keys generate', () => {
  test('prints a master key that is accepted, another one each time', async () => {
    const [first, second] = [await zeroTrust(['keys', 'generate']), await zeroTrust(['keys', 'generate'])];

    expect(first).toMatchObject({ code: 0, err: '' });
    expect(parseMasterKey(first.out).symmetricKeySize).toBe(32);
    expect(first.out).not.toBe(second.out);
  });

  test('writes it to a file of mode 0600 without printing it', async () => {
    const file = join(folder, 'new', 'master.key');

    const run = await zeroTrust(['keys', 'generate', '--file', file]);

    const key = readFileSync(file, 'utf8');
    expect(run.code).toBe(0);
    expect(statSync(file).mode & 0o777).toBe(0o600);
    expect(parseMasterKey(key).symmetricKeySize).toBe(32);
    expect(run.out + run.err).not.toContain(key.trim());
  });

  test('never overwrites a file', async () => {
    const file = join(folder, 'master.key');
    await zeroTrust(['keys', 'generate', '--file', file]);
    const key = readFileSync(file, 'utf8');

    const run = await zeroTrust(['keys', 'generate', '--file', file]);

    expect(run.code).toBe(1);
    expect(run.err).toContain('stands already');
    expect(readFileSync(file, 'utf8')).toBe(key);
  });

  test('an option that it does not know is an error, and nothing is written', async () => {
    const run = await zeroTrust(['keys', 'generate', '--flie', join(folder, 'master.key')]);

    expect(run.code).toBe(1);
    expect(existsSync(join(folder, 'master.key'))).toBe(false);
  });
});

describe('zero-trust keys status', () => {
  test('lists the data keys, and nothing of their material', async () => {
    const masterKey = newMasterKey();
    const replica = await Replica.open(database.appUrl, masterKey);
    await replica.keys.onModuleInit();
    await replica.cipher.sealText({ table: 'crm.customer', column: 'email', row: '1' }, 'value');
    const stored = await replica.unitOfWork.query<{ wrapped: Buffer; kek_id: string }>(
      'SELECT wrapped, kek_id FROM encryption.data_key',
    );
    await replica.close();

    const run = await zeroTrust(['keys', 'status', '--json'], { DATABASE_URL: database.appUrl });
    const plain = await zeroTrust(['keys', 'status'], { DATABASE_URL: database.appUrl });

    expect(run).toMatchObject({ code: 0, err: '' });
    const { keys } = JSON.parse(run.out) as { keys: Record<string, unknown>[] };
    expect(keys).toMatchObject([
      { scope: 'tenant', scopeId: '00000000-0000-0000-0000-000000000000', version: 1, state: 'primary' },
      { scope: 'table', scopeId: 'crm.customer', version: 1, state: 'primary' },
    ]);
    const fields = ['keyId', 'scope', 'scopeId', 'version', 'state', 'createdAt'];
    for (const key of keys) expect(Object.keys(key)).toEqual(fields);
    expect(plain.out.split('\n')).toHaveLength(2);
    for (const { wrapped } of stored) expect(run.out + plain.out).not.toContain(wrapped.toString('hex', 40));
  });

  test.each([
    ['without a database', {}, 'DATABASE_URL is not set'],
    ['with a URL that is none', { DATABASE_URL: 'nonsense-hunter2' }, 'DATABASE_URL is not a URL'],
    [
      'with a database that is away',
      { DATABASE_URL: 'postgres://a:hunter2@127.0.0.1:1/x' },
      'cannot be read',
    ],
  ])('%s it says so in one line, without the password', async (_case, environment, message) => {
    const run = await zeroTrust(['keys', 'status'], environment);

    expect(run.code).toBe(1);
    expect(run.err).toContain(message);
    expect(run.err.split('\n')).toHaveLength(1);
    expect(run.err).not.toContain('hunter2');
  });
});
