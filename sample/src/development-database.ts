import { readSetting } from 'nestjs-zero-trust';
import { randomBytes } from 'node:crypto';
import { readFile, rename, writeFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import pg from 'pg';
import { startEmbeddedPostgres } from './embedded-postgres/embedded-postgres.js';

export interface DevelopmentDatabase {
  readonly logins: {
    readonly ownerUrl: string;
    readonly logins: readonly { readonly url: string; readonly role: 'zt_app' | 'zt_audit_sequencer' }[];
  };
  stop(): Promise<void>;
}

const PASSWORDS = ['owner', 'app', 'audit'] as const;
type Login = (typeof PASSWORDS)[number];

/**
 * The database of a development start: yours when DATABASE_URL is set, else an embedded PostgreSQL in `.data/`
 * with the same separate logins as in production, kept in `.data/env` for a second process.
 */
export async function developmentDatabase(data: string): Promise<DevelopmentDatabase> {
  const appUrl = readSetting('DATABASE_URL');
  if (appUrl !== undefined) {
    const ownerUrl = readSetting('DATABASE_OWNER_URL');
    const auditUrl = readSetting('DATABASE_AUDIT_URL');
    if (ownerUrl === undefined || auditUrl === undefined) {
      throw new Error(
        'DATABASE_URL is set: set DATABASE_OWNER_URL and DATABASE_AUDIT_URL too. See .env.example.',
      );
    }
    return {
      logins: loginsOf(ownerUrl, appUrl, auditUrl),
      stop: () => Promise.resolve(),
    };
  }
  const server = await startEmbeddedPostgres({ dataDirectory: resolve(data, 'postgres'), durable: true });
  try {
    const passwords = await keptPasswords(resolve(data, 'logins.json'));
    await makeOwner(server.superuserUrl, passwords.owner);
    const url = (login: Login): string =>
      `postgres://portal_${login}:${passwords[login]}@${server.host}:${server.port}/portal`;
    process.env.DATABASE_URL = url('app');
    process.env.DATABASE_AUDIT_URL = url('audit');
    await writeEnvironment(resolve(data, 'env'), url);
    return { logins: loginsOf(url('owner'), url('app'), url('audit')), stop: () => server.stop() };
  } catch (failure) {
    await server.stop();
    throw failure;
  }
}

function loginsOf(ownerUrl: string, appUrl: string, auditUrl: string): DevelopmentDatabase['logins'] {
  return {
    ownerUrl,
    logins: [
      { url: appUrl, role: 'zt_app' },
      { url: auditUrl, role: 'zt_audit_sequencer' },
    ],
  };
}

async function keptPasswords(file: string): Promise<Record<Login, string>> {
  try {
    return JSON.parse(await readFile(file, 'utf8')) as Record<Login, string>;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    const made = Object.fromEntries(PASSWORDS.map((login) => [login, randomBytes(24).toString('base64url')]));
    await writeSecret(file, JSON.stringify(made));
    return made as Record<Login, string>;
  }
}

/** As scripts/compose-secrets.sh and docker/create-owner.sh do it: an owner that is no superuser. */
async function makeOwner(superuserUrl: string, password: string): Promise<void> {
  const client = new pg.Client({ connectionString: superuserUrl });
  await client.connect();
  try {
    const { rows } = await client.query<{ role: boolean; database: boolean }>(
      `SELECT EXISTS (SELECT FROM pg_roles WHERE rolname = 'portal_owner') AS role,
              EXISTS (SELECT FROM pg_database WHERE datname = 'portal') AS database`,
    );
    const verb = rows[0]?.role ? 'ALTER' : 'CREATE';
    await client.query(
      `${verb} ROLE portal_owner LOGIN CREATEROLE NOSUPERUSER NOCREATEDB NOBYPASSRLS PASSWORD ${client.escapeLiteral(password)}`,
    );
    if (!rows[0]?.database) await client.query('CREATE DATABASE portal OWNER portal_owner');
  } finally {
    await client.end();
  }
}

async function writeEnvironment(file: string, url: (login: Login) => string): Promise<void> {
  const lines = [
    `DATABASE_OWNER_URL=${url('owner')}`,
    `DATABASE_URL=${url('app')}`,
    `DATABASE_AUDIT_URL=${url('audit')}`,
    `ZERO_TRUST_MASTER_KEY=${process.env.ZERO_TRUST_MASTER_KEY ?? ''}`,
    'NODE_ENV=development',
  ];
  await writeSecret(file, `${lines.join('\n')}\n`);
}

/** Whole or not at all, and never readable by anybody else in between. */
async function writeSecret(file: string, text: string): Promise<void> {
  await writeFile(`${file}.new`, text, { mode: 0o600 });
  await rename(`${file}.new`, file);
}
