import { expect } from 'vitest';
import { AccessChanges } from '../../src/access/grants/access-changes.js';
import { AccessService } from '../../src/access/access.service.js';
import { SYSTEM_PRINCIPAL } from '../../src/access/grants/actor.js';
import { GrantsService } from '../../src/access/grants/grants.service.js';
import { RolesService } from '../../src/access/grants/roles.service.js';
import type { Principal } from '../../src/core/principal.js';
import type { PublishedSecurityEvent } from '../../src/core/security-events.js';
import type { TestDatabase } from '../support/database.js';
import {
  startHostile,
  type HostileApplication,
  type HostileOptions,
} from '../support/hostile.application.js';
import { asOwner, newSubject } from './access.fixtures.js';

export const permissions = {
  documents: ['read', 'read-any', 'write', 'share'],
  invoices: ['read', 'approve'],
} as const;

export const as = (subject: string): Principal => ({ kind: 'account', subject });

/** An application with the access room and an audit log, and its services by name. */
export interface AccessApplication extends HostileApplication {
  readonly roles: RolesService;
  readonly grants: GrantsService;
  readonly access: AccessService;
  readonly changes: AccessChanges;
  /** Grants as the system does, and says the grant's id. */
  give(subject: string, role: string, until?: { notBefore?: Date; expiresAt?: Date }): Promise<string>;
  /** Somebody new who holds these roles. */
  somebody(...roles: string[]): Promise<string>;
  /** What was published since the last call, without refusals of the pipeline. */
  changesSeen(): PublishedSecurityEvent[];
}

export async function startAccess(
  database: TestDatabase,
  options: Partial<HostileOptions> = {},
): Promise<AccessApplication> {
  const started = await startHostile({
    databaseUrl: database.appUrl,
    auditUrl: database.auditUrl,
    ...options,
    access: { permissions, ...options.access },
  });
  const grants = started.app.get(GrantsService);
  const give: AccessApplication['give'] = async (subject, role, until = {}) =>
    (await grants.grant({ subject, role, reason: 'test', ...until }, SYSTEM_PRINCIPAL)).id;
  return {
    ...started,
    roles: started.app.get(RolesService),
    grants,
    access: started.app.get(AccessService),
    changes: started.app.get(AccessChanges),
    give,
    async somebody(...roles) {
      const subject = newSubject();
      for (const role of roles) await give(subject, role);
      return subject;
    },
    changesSeen() {
      return started.events.splice(0).filter(({ action }) => /^(role|grant)\./.test(action));
    },
  };
}

export async function emptyAccess(database: TestDatabase): Promise<void> {
  await asOwner(
    database,
    'TRUNCATE access."grant", access.role_may_grant, access.role_inherits, access.role_permission, access.role',
  );
}

/** Everything that says who may do what, and which changes of it are in the audit log. */
export async function stateOf(database: TestDatabase): Promise<unknown> {
  const rowsOf = (table: string): string =>
    `(SELECT jsonb_agg(to_jsonb(t) ORDER BY to_jsonb(t)) FROM access.${table} t)`;
  const tables = ['role', 'role_permission', 'role_inherits', 'role_may_grant', '"grant"'].map(rowsOf);
  return [
    await asOwner(database, `SELECT jsonb_build_array(${tables.join(', ')}) AS rows`),
    await recordedChanges(database),
  ];
}

/** The changes that the audit log holds, oldest first: what was committed, not what was tried. */
export async function recordedChanges(database: TestDatabase): Promise<string[]> {
  const rows = await asOwner<{ action: string | null }>(
    database,
    `SELECT substring(convert_from(entry, 'UTF8') FROM '(?:role|grant)\\.[a-z]+') AS action
     FROM audit.pending ORDER BY recorded_at`,
  );
  return rows.flatMap(({ action }) => (action === null ? [] : [action]));
}

/** The change is refused with this code (and field); nothing of it is written or recorded. */
export async function assertRefused(
  app: AccessApplication,
  database: TestDatabase,
  change: () => Promise<unknown>,
  code: string,
  field?: string,
): Promise<void> {
  const before = await stateOf(database);
  app.events.length = 0;
  await expect(change()).rejects.toMatchObject({ code, ...(field && { errors: [{ field }] }) });
  expect(await stateOf(database)).toEqual(before);
}

export const hours = (count: number): Date => new Date(Date.now() + count * 3_600_000);
