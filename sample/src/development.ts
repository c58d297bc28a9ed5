import 'reflect-metadata';
import type { Type } from '@nestjs/common';
import { developmentMasterKey, migrate, readSetting } from 'nestjs-zero-trust';
import { existsSync } from 'node:fs';
import { chmod, mkdir } from 'node:fs/promises';
import { resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { AppModule } from './app.module.js';
import { createApplication, explainFailedStart } from './application.js';
import { seedDemoAccounts, type DemoAccount } from './demo-accounts.js';
import { developmentDatabase, type DevelopmentDatabase } from './development-database.js';
import { whenNpmIsGone } from './parent.watch.js';
import { readListenAddress } from './settings.js';

// `npm start`: the whole service on a laptop, with nothing to install and nothing to configure.
// Empty is the same as not set, as in a copy of .env.example.
if (existsSync('.env')) process.loadEnvFile('.env');
process.env.NODE_ENV ||= 'development';

const data = resolve('.data');
const migrations = fileURLToPath(new URL('../migrations', import.meta.url));

let database: DevelopmentDatabase | undefined;
let app: Awaited<ReturnType<typeof createApplication>> | undefined;
let ending: Promise<void> | undefined;

/** Stops accepting, finishes what runs, then stops the embedded database. A second signal changes nothing. */
function end(exitCode: number): Promise<void> {
  ending ??= (async () => {
    try {
      await app?.close();
    } finally {
      await database?.stop();
      process.exit(exitCode);
    }
  })();
  return ending;
}

for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => void end(0));
whenNpmIsGone(() => void end(0));

try {
  if (process.env.NODE_ENV === 'production')
    throw new Error('npm start is for development; production starts sample/dist/main.js.');
  const { host, port } = readListenAddress();
  await mkdir(data, { recursive: true, mode: 0o700 });
  await chmod(data, 0o700);
  if (!process.env.ZERO_TRUST_MASTER_KEY_FILE) {
    process.env.ZERO_TRUST_MASTER_KEY ||= developmentMasterKey(resolve(data, 'master.key'));
  }
  database = await developmentDatabase(data);
  const tlsCa = readSetting('DATABASE_CA');
  await migrate({ ...database.logins, directories: [migrations], ...(tlsCa !== undefined && { tlsCa }) });
  app = await createApplication(await rootModule());
  const demo = await seedDemoAccounts(app, resolve(data, 'demo-accounts.json'));
  await app.listen(port, host);
  const url = (await app.getUrl()).replace('[::1]', 'localhost');
  if (demo.made) printAccounts(demo.accounts);
  console.log(`listening on ${url}`);
  printFirstSteps(url, demo.accounts);
} catch (failure) {
  console.error(explainFailedStart(failure));
  await end(1);
}

/** Its documentation is for development alone: production has not even the package that makes it. */
async function rootModule(): Promise<Type> {
  return process.env.NODE_ENV === 'development'
    ? (await import('./development.module.js')).DevelopmentModule
    : AppModule;
}

function printAccounts(accounts: readonly DemoAccount[]): void {
  console.log('\nDemo accounts (also in .data/demo-accounts.json; shown this once):');
  for (const { email, password, roles, totpSecret } of accounts) {
    const factor = totpSecret === undefined ? '' : `   TOTP ${totpSecret}`;
    console.log(`  ${email.padEnd(24)} ${password}   ${roles.join(', ')}${factor}`);
  }
  console.log('');
}

function printFirstSteps(url: string, accounts: readonly DemoAccount[]): void {
  const viewer = accounts.find(({ email }) => email.startsWith('viewer@'));
  if (!viewer) return;
  const body = JSON.stringify({ email: viewer.email, password: viewer.password, delivery: 'token' });
  const token = `TOKEN=$(curl -s ${url}/auth/login -H 'Content-Type: application/json' -d '${body}' | sed 's/.*"accessToken":"\\([^"]*\\)".*/\\1/')`;
  console.log(`
Try it: sign in, an allowed call, a refused call.
  ${token}
  curl -s ${url}/documents -H "Authorization: Bearer $TOKEN"
  curl -s ${url}/invoices -H "Authorization: Bearer $TOKEN"
`);
}
