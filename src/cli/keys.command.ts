import { Command } from 'commander';
import { OpenedDataSource } from '../database/database.boot.js';
import { databaseErrorLine } from '../database/database.errors.js';
import { buildDataSource } from '../database/open-data-source.js';
import { UnitOfWork } from '../database/unit-of-work.js';
import { DataKeyStore, type DataKeySummary } from '../encryption/data-key.store.js';
import { generateMasterKey } from '../encryption/master-key.js';
import { createSecretFile } from '../encryption/secret-file.js';
import type { CliIo } from './run-cli.js';
import { readSetting, requireSetting } from '../core/setting.js';

/** `zero-trust keys`: makes the master key, lists the data keys. No command prints a key that is in use. */
export function keysCommand(io: CliIo): Command {
  const keys = new Command('keys')
    .description('Makes a master key; lists the data keys of a database.')
    .helpCommand(false);
  keys
    .command('generate')
    .description('Makes a new master key for ZERO_TRUST_MASTER_KEY and prints it, or writes it to a file.')
    .option('--file <path>', 'write it there with mode 0600; a file that stands is never overwritten')
    .action(({ file }: { file?: string }) => {
      generate(io, file);
    });
  keys
    .command('status')
    .description('Lists the data keys of DATABASE_URL (or DATABASE_URL_FILE), without their material.')
    .option('--json', 'print them as JSON')
    .action(async ({ json }: { json?: true }) => {
      const listed = await listKeys(io);
      io.out(json ? JSON.stringify({ keys: listed }) : tableOf(listed));
    });
  return keys;
}

function generate(io: CliIo, file: string | undefined): void {
  const key = generateMasterKey();
  if (file === undefined) {
    io.out(key);
    return;
  }
  if (!createSecretFile(file, `${key}\n`)) {
    throw new TypeError(
      `${file} stands already, and what its key sealed opens with no other; name a new file.`,
    );
  }
  io.out(`wrote a new master key to ${file}; keep a copy apart from the database and its backups`);
}

async function listKeys({ environment }: CliIo): Promise<DataKeySummary[]> {
  const url = requireSetting('DATABASE_URL', environment);
  const tlsCa = readSetting('DATABASE_CA', environment);
  const production = environment['NODE_ENV'] !== 'development' && environment['NODE_ENV'] !== 'test';
  let dataSource: ReturnType<typeof buildDataSource>;
  try {
    dataSource = buildDataSource(url, { ...(tlsCa !== undefined && { tlsCa }) }, [], production);
  } catch (error) {
    // Its text names the fault without the URL, which holds a password.
    throw error instanceof TypeError ? new TypeError(`DATABASE_URL ${error.message}.`) : error;
  }
  try {
    await dataSource.initialize();
    return await new DataKeyStore(new UnitOfWork(new OpenedDataSource(dataSource, true))).list();
  } catch (cause) {
    throw new Error(`the data keys cannot be read: ${databaseErrorLine(cause)}`, { cause });
  } finally {
    if (dataSource.isInitialized) await dataSource.destroy();
  }
}

function tableOf(keys: readonly DataKeySummary[]): string {
  if (keys.length === 0) return 'no data keys yet: the first start makes the first one';
  return keys
    .map(({ keyId, scope, scopeId, version, state, createdAt }) =>
      [keyId, scope.padEnd(6), `v${version}`, state.padEnd(12), createdAt.toISOString(), scopeId].join('  '),
    )
    .join('\n');
}
