import { Command } from 'commander';
import { ControlConnection } from '../database/control-connection.js';
import { OpenedDataSource } from '../database/database.boot.js';
import { databaseErrorLine } from '../database/database.errors.js';
import { buildDataSource } from '../database/open-data-source.js';
import { UnitOfWork } from '../database/unit-of-work.js';
import { DataKeyStore, type DataKeySummary } from '../encryption/data-key.store.js';
import { generateMasterKey } from '../encryption/master-key.js';
import { createSecretFile } from '../encryption/secret-file.js';
import { SigningKeyStore, type SigningKeySummary } from '../sessions/signing-keys/signing-key.store.js';
import { rotateKeys, type RotateFlags } from './keys.rotation.js';
import type { CliIo } from './run-cli.js';
import { readSetting, requireSetting } from '../core/setting.js';

const ROTATE_HELP = `
Settings (each also as …_FILE, the path of a file that holds it):
  DATABASE_URL           the login of the running service
  DATABASE_AUDIT_URL     the login of its audit log
  DATABASE_CA            PEM of the authority that signed the database's certificate, beyond this machine
  ZERO_TRUST_MASTER_KEY  the service's own: the new key is sealed under it

The change is in the audit log, made by "system".`;

interface Listed {
  readonly keys: readonly DataKeySummary[];
  readonly signingKeys: readonly SigningKeySummary[];
}

/** `zero-trust keys`: makes the master key, lists keys, rotates those that sign. None prints a key that is in use. */
export function keysCommand(io: CliIo): Command {
  const keys = new Command('keys')
    .description('Makes a master key; lists the keys of a database; rotates those that sign access tokens.')
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
    .description(
      'Lists data keys and signing keys of DATABASE_URL (or DATABASE_URL_FILE), without their material.',
    )
    .option('--json', 'print them as JSON')
    .action(async ({ json }: { json?: true }) => {
      const listed = await listKeys(io);
      if (json) io.out(JSON.stringify(listed));
      else for (const line of tableOf(listed)) io.out(line);
    });
  keys
    .command('rotate')
    .description('Publishes a new signing key; the service signs with it when everybody can know it.')
    .option('--now', 'a key has leaked: refuse every signing key at once, and sign with a new one')
    .option('--dry-run', 'say what would happen, and change nothing')
    .option('--json', 'print the outcome as JSON')
    .addHelpText('after', ROTATE_HELP)
    .action((flags: RotateFlags) => rotateKeys(io, flags));
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

async function listKeys({ environment }: CliIo): Promise<Listed> {
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
    const opened = new OpenedDataSource(dataSource, true);
    const unitOfWork = new UnitOfWork(opened);
    return {
      keys: await new DataKeyStore(unitOfWork).list(),
      signingKeys: await new SigningKeyStore(unitOfWork, new ControlConnection(opened)).list(),
    };
  } catch (cause) {
    throw new Error(`the keys cannot be read: ${databaseErrorLine(cause)}`, { cause });
  } finally {
    if (dataSource.isInitialized) await dataSource.destroy();
  }
}

function tableOf({ keys, signingKeys }: Listed): string[] {
  if (keys.length === 0) return ['no data keys yet: the first start makes the first one'];
  const ofData = keys.map(({ keyId, scope, scopeId, version, state, createdAt }) =>
    [keyId, scope.padEnd(6), `v${version}`, state.padEnd(12), createdAt.toISOString(), scopeId].join('  '),
  );
  const ofSigning = signingKeys.map(({ kid, algorithm, state, createdAt, activatedAt, acceptedUntil }) =>
    [
      ...[kid, 'signing', algorithm, state.padEnd(7), `published ${createdAt.toISOString()}`],
      ...(activatedAt ? [`activated ${activatedAt.toISOString()}`] : []),
      ...(acceptedUntil ? [`accepted until ${acceptedUntil.toISOString()}`] : []),
    ].join('  '),
  );
  return [...ofData, ...ofSigning];
}
