import { Global, Module, type DynamicModule } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import type { DataSource } from 'typeorm';
import { SYSTEM_PRINCIPAL } from '../access/grants/actor.js';
import { AuditModule } from '../audit/audit.module.js';
import { Clock, SystemClock } from '../core/clock.js';
import { SecurityEvents } from '../core/security-events.js';
import { readSetting, requireSetting, type Environment } from '../core/setting.js';
import { ControlConnection } from '../database/control-connection.js';
import { DatabaseModule } from '../database/database.module.js';
import { buildDataSource } from '../database/open-data-source.js';
import { UnitOfWork } from '../database/unit-of-work.js';
import { EncryptionModule } from '../encryption/encryption.module.js';
import { FieldCipher } from '../encryption/field-cipher.js';
import { FreshnessFeed } from '../freshness/freshness.feed.js';
import { FreshnessModule } from '../freshness/freshness.module.js';
import { SigningKeyRotation } from '../sessions/signing-keys/signing-key.rotation.js';
import { SigningKeyStore, type StoredSigningKey } from '../sessions/signing-keys/signing-key.store.js';
import type { CliIo } from './run-cli.js';

export interface RotateFlags {
  readonly dryRun?: boolean;
  readonly now?: boolean;
  readonly json?: boolean;
}

/** No pipeline: nothing is served here. */
@Global()
@Module({
  providers: [{ provide: Clock, useClass: SystemClock }, SecurityEvents],
  exports: [Clock, SecurityEvents],
})
class CommandCore {}

@Module({})
class KeysContext {}

/** `zero-trust keys rotate`: publishes a key to follow, or, with `--now`, gives up every key at once. */
export async function rotateKeys(io: CliIo, flags: RotateFlags): Promise<void> {
  await withRotation(io, (rotation, keys) =>
    flags.now ? replaceAll(io, flags, rotation, keys) : publishNext(io, flags, rotation, keys),
  );
}

async function publishNext(
  { out }: CliIo,
  { dryRun = false, json }: RotateFlags,
  rotation: SigningKeyRotation,
  keys: readonly StoredSigningKey[],
): Promise<void> {
  const algorithm = keys.find(({ state }) => state === 'active')?.algorithm;
  if (!algorithm) throw new Error('there is no active signing key; the next start of the service makes one');
  const next = keys.find(({ state }) => state === 'next');
  const made = dryRun || next ? undefined : await rotation.publishNext(algorithm, SYSTEM_PRINCIPAL.subject);
  if (json) {
    const kid = made ?? next?.kid ?? null;
    out(JSON.stringify({ dryRun, now: false, algorithm, made: made ?? null, next: kid, refused: [] }));
    return;
  }
  const later = 'the service signs with it once it has been published for signingKeyPublicationSeconds';
  if (next)
    out(`${next.kid} has been published for ${Math.floor(next.publishedSeconds)} s already; ${later}`);
  else if (dryRun) out(`would publish a new key (${algorithm}); nothing was changed`);
  else if (made) out(`published ${made} (${algorithm}); ${later}`);
  else out(`somebody else has published a key at this moment; ${later}`);
}

async function replaceAll(
  { out, err }: CliIo,
  { dryRun = false, json }: RotateFlags,
  rotation: SigningKeyRotation,
  keys: readonly StoredSigningKey[],
): Promise<void> {
  const algorithm = keys.find(({ state }) => state === 'active')?.algorithm ?? 'ES256';
  const say = json ? err : out;
  // Before it is done: what is printed last would be read too late.
  say(`${dryRun ? 'would refuse' : 'refuses'} at once, on every replica within a second:`);
  for (const { kid, state } of keys) say(`  ${kid}  ${state}`);
  say('every access token signed with them is worth nothing from then on; sessions live on and get new ones');
  const done = dryRun ? undefined : await rotation.replaceAll(algorithm, SYSTEM_PRINCIPAL.subject);
  const refused = done?.refused ?? keys.map(({ kid }) => kid);
  if (json) {
    out(JSON.stringify({ dryRun, now: true, algorithm, made: done?.made ?? null, next: null, refused }));
  } else {
    say(
      done
        ? `signs with ${done.made} (${algorithm})`
        : `would sign with a new key (${algorithm}); nothing was changed`,
    );
  }
}

/** With the service's own logins and key. The data source is closed also when the modules refuse to start. */
async function withRotation(
  { environment, err }: CliIo,
  work: (rotation: SigningKeyRotation, keys: readonly StoredSigningKey[]) => Promise<void>,
): Promise<void> {
  const { dataSource, module } = contextOf(environment);
  let app: Awaited<ReturnType<typeof NestFactory.createApplicationContext>> | undefined;
  try {
    const ignore = (): void => undefined;
    const options = { abortOnError: false, logger: { log: ignore, warn: err, error: ignore } };
    app = await NestFactory.createApplicationContext(module, options);
    const unitOfWork = app.get(UnitOfWork);
    const store = new SigningKeyStore(unitOfWork, app.get(ControlConnection));
    const events = app.get(SecurityEvents);
    const cipher = app.get(FieldCipher);
    const rotation = new SigningKeyRotation(store, cipher, unitOfWork, events, app.get(FreshnessFeed));
    await work(rotation, await store.usableUnderLock());
  } finally {
    await app?.close();
    if (dataSource.isInitialized) await dataSource.destroy();
  }
}

// SessionsModule is left out: it refuses to start without a key that opens, which is when this command is needed most.
function contextOf(environment: Environment): { dataSource: DataSource; module: DynamicModule } {
  const url = requireSetting('DATABASE_URL', environment);
  const readerUrl = requireSetting('DATABASE_AUDIT_URL', environment);
  const masterKey = requireSetting('ZERO_TRUST_MASTER_KEY', environment);
  const tlsCa = readSetting('DATABASE_CA', environment);
  const tls = tlsCa === undefined ? {} : { tlsCa };
  // Unset is production.
  const production = !['development', 'test'].includes(environment['NODE_ENV'] ?? '');
  let dataSource: DataSource;
  try {
    dataSource = buildDataSource(url, tls, [], production);
  } catch (error) {
    // Its text names the fault without the URL, which holds a password.
    throw error instanceof TypeError ? new TypeError(`DATABASE_URL ${error.message}.`) : error;
  }
  const module = {
    module: KeysContext,
    imports: [
      CommandCore,
      DatabaseModule.forRoot({ dataSource }),
      EncryptionModule.forRoot({ masterKey }),
      FreshnessModule,
      AuditModule.forRoot({ readerUrl, ...tls }),
    ],
  };
  return { dataSource, module };
}
