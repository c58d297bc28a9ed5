import pg from 'pg';
import { uuidV7 } from '../../src/core/uuid-v7.js';
import type { TestDatabase } from '../support/database.js';

export const newSubject = (): string => uuidV7(Date.now());

/**
 * Runs SQL as the owner: what a test needs to be there, behind the back of the services. The database asks even the
 * owner for an event in the same transaction.
 */
export async function asOwner<Row = Record<string, unknown>>(
  database: TestDatabase,
  sql: string,
  values: readonly unknown[] = [],
): Promise<Row[]> {
  const client = new pg.Client({ connectionString: database.ownerUrl });
  await client.connect();
  try {
    await client.query('BEGIN');
    const { rows } = await client.query(sql, [...values]);
    await client.query("INSERT INTO audit.pending (id, entry) VALUES (gen_random_uuid(), '{}')");
    await client.query('COMMIT');
    return rows as Row[];
  } finally {
    await client.end();
  }
}

/** One who may read documents, and one who holds something else. */
export async function storeReaderAndOther(
  database: TestDatabase,
  reader: string,
  other: string,
): Promise<void> {
  await storeRoles(database, {
    reader: { permissions: ['documents:read'] },
    other: { permissions: ['invoices:read'] },
  });
  await storeGrant(database, reader, 'reader');
  await storeGrant(database, other, 'other');
}

export interface StoredRole {
  readonly permissions?: readonly string[];
  readonly inherits?: readonly string[];
  readonly mayGrant?: readonly string[];
}

/** Writes roles as they are, circles and undeclared permissions included. */
export async function storeRoles(
  database: TestDatabase,
  roles: Readonly<Record<string, StoredRole>>,
): Promise<void> {
  const pairs = (pick: (role: StoredRole) => readonly string[] | undefined): [string[], string[]] => {
    const flat = Object.entries(roles).flatMap(([name, role]) =>
      (pick(role) ?? []).map((each) => [name, each] as const),
    );
    return [flat.map(([name]) => name), flat.map(([, each]) => each)];
  };
  await asOwner(database, 'INSERT INTO access.role (name) SELECT unnest($1::text[])', [Object.keys(roles)]);
  const insert = (table: string, values: [string[], string[]]): Promise<unknown> =>
    asOwner(database, `INSERT INTO access.${table} SELECT * FROM unnest($1::text[], $2::text[])`, values);
  await insert(
    'role_permission',
    pairs(({ permissions }) => permissions),
  );
  await insert(
    'role_inherits',
    pairs(({ inherits }) => inherits),
  );
  await insert(
    'role_may_grant',
    pairs(({ mayGrant }) => mayGrant),
  );
}

export interface StoredGrant {
  /** SQL of a point in time, e.g. `now() + interval '1 hour'`. */
  readonly notBefore?: string;
  readonly expiresAt?: string;
  readonly revoked?: boolean;
}

/** Gives a subject a role, behind the back of the services. @returns the grant's id. */
export async function storeGrant(
  database: TestDatabase,
  subject: string,
  role: string,
  { notBefore = 'NULL', expiresAt = 'NULL', revoked = false }: StoredGrant = {},
): Promise<string> {
  const id = newSubject();
  await asOwner(
    database,
    `INSERT INTO access."grant" (id, subject, role, reason, granted_by, created_at, not_before, expires_at, revoked_at, revoked_by)
     VALUES ($1, $2, $3, 'test', 'test', now() - interval '10 years', ${notBefore}, ${expiresAt},
       ${revoked ? "now(), 'test'" : 'NULL, NULL'})`,
    [id, subject, role],
  );
  return id;
}
