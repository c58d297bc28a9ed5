import { randomBytes } from 'node:crypto';
import pg from 'pg';
import { inject } from 'vitest';

/** A database of its own, with every migration of kit and sample applied. */
export interface TestDatabase {
  /** Member of `zt_app`: what the running service uses. */
  readonly appUrl: string;
  /** Owns database and schema; no superuser. */
  readonly ownerUrl: string;
  /** Member of `zt_audit_sequencer`. */
  readonly auditUrl: string;
  /** For tests that tamper. */
  readonly superuserUrl: string;
  readonly name: string;
  /** Also ends whatever is still connected. */
  drop(): Promise<void>;
}

/** Clones the migrated template: about 50 ms. */
export async function createTestDatabase(): Promise<TestDatabase> {
  const { template, ...urls } = inject('database');
  const name = template.replace(/template$/, randomBytes(6).toString('hex'));
  await asOwner(async (owner) => {
    await again(() => owner.query(`CREATE DATABASE ${name} TEMPLATE ${template}`));
    // A clone takes over everything but the privileges and settings of the database itself.
    await again(() => owner.query(`REVOKE ALL ON DATABASE ${name} FROM PUBLIC`));
    await again(() => owner.query(`ALTER DATABASE ${name} SET search_path = pg_catalog, public, pg_temp`));
    const logins = [urls.appUrl, urls.auditUrl].map((url) => new URL(url).username);
    await again(() => owner.query(`GRANT CONNECT ON DATABASE ${name} TO ${logins.join(', ')}`));
  });
  const inside = (url: string): string => {
    const renamed = new URL(url);
    renamed.pathname = `/${name}`;
    return renamed.href;
  };
  return {
    appUrl: inside(urls.appUrl),
    ownerUrl: inside(urls.ownerUrl),
    auditUrl: inside(urls.auditUrl),
    superuserUrl: inside(urls.superuserUrl),
    name,
    // Whoever made the logins: a start that was refused half-way may have left connections of theirs behind.
    drop: () =>
      inPostgres(inject('database').superuserUrl, async (superuser) => {
        await superuser.query(`DROP DATABASE IF EXISTS ${name} WITH (FORCE)`);
      }),
  };
}

const asOwner = (work: (owner: pg.Client) => Promise<void>): Promise<void> =>
  inPostgres(inject('database').ownerUrl, work);

/** Not in the template itself: nobody may be connected to it while it is cloned. */
async function inPostgres(of: string, work: (client: pg.Client) => Promise<void>): Promise<void> {
  const url = new URL(of);
  url.pathname = '/postgres';
  const client = new pg.Client({ connectionString: url.href });
  await client.connect();
  try {
    await work(client);
  } finally {
    await client.end();
  }
}

/** Somebody is still (dis)connecting from the template, or two clones touch one catalogue row. */
async function again(attempt: () => Promise<unknown>): Promise<void> {
  for (let left = 50; ; left -= 1) {
    try {
      await attempt();
      return;
    } catch (error) {
      const { code, message } = error as { code?: string; message: string };
      if (left === 0 || !(code === '55006' || message.includes('tuple concurrently updated'))) throw error;
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }
}
