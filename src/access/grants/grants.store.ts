import { Injectable } from '@nestjs/common';
import { UnitOfWork } from '../../database/unit-of-work.js';
import { canHoldGrants, IS_LIVE } from '../decision/held-permissions.js';

/** A grant as it is stored: a record that is ended, never changed. */
export interface Grant {
  readonly id: string;
  readonly subject: string;
  readonly role: string;
  /** Where it counts; null is everywhere. */
  readonly scope: string | null;
  readonly reason: string;
  readonly grantedBy: string;
  readonly createdAt: Date;
  readonly notBefore: Date | null;
  readonly expiresAt: Date | null;
}

export interface NewGrant {
  readonly id: string;
  readonly subject: string;
  readonly role: string;
  readonly scope: string | null;
  readonly reason: string;
  readonly grantedBy: string;
  readonly notBefore: Date | null;
  readonly expiresAt: Date | null;
}

/** For how long something must be held. */
export type Until = 'now' | 'ever' | Date;

const COLUMNS = `id, subject, role, scope, reason, granted_by AS "grantedBy", created_at AS "createdAt",
  not_before AS "notBefore", expires_at AS "expiresAt"`;

/** Neither revoked nor expired; it may begin later. */
const NOT_ENDED = 'revoked_at IS NULL AND (expires_at IS NULL OR expires_at > clock_timestamp())';

/** One row a subject. */
const ROLES_OF_SUBJECTS = `
  SELECT subject, array_agg(DISTINCT role ORDER BY role) AS roles
    FROM access."grant" WHERE ${NOT_ENDED} GROUP BY subject`;

/** Roles that are held together, and by how many subjects. */
export interface RolesTogether {
  readonly roles: readonly string[];
  readonly count: number;
}

@Injectable()
export class GrantsStore {
  constructor(private readonly unitOfWork: UnitOfWork) {}

  /** The grants of a subject that have not ended, oldest first. */
  async listOf(subject: string): Promise<readonly Grant[]> {
    if (!canHoldGrants(subject)) return [];
    return this.unitOfWork.query<Grant>(
      `SELECT ${COLUMNS} FROM access."grant" WHERE subject = $1 AND ${NOT_ENDED} ORDER BY created_at, id`,
      [subject],
    );
  }

  /** A grant that has not ended, or undefined; also for what is no UUID. */
  async find(id: string): Promise<Grant | undefined> {
    if (!canHoldGrants(id)) return undefined;
    const [grant] = await this.unitOfWork.query<Grant>(
      `SELECT ${COLUMNS} FROM access."grant" WHERE id = $1 AND ${NOT_ENDED}`,
      [id],
    );
    return grant;
  }

  /** The roles that a subject holds now by its own grants, in whatever scope, without what they inherit. */
  async rolesOf(subject: string): Promise<readonly string[]> {
    if (!canHoldGrants(subject)) return [];
    const rows = await this.unitOfWork.query<{ role: string }>(
      `SELECT DISTINCT role FROM access."grant" WHERE subject = $1 AND ${IS_LIVE} ORDER BY role`,
      [subject],
    );
    return rows.map(({ role }) => role);
  }

  /** The grants of a subject that count now, oldest first. */
  async liveOf(subject: string): Promise<readonly Grant[]> {
    if (!canHoldGrants(subject)) return [];
    return this.unitOfWork.query<Grant>(
      `SELECT ${COLUMNS} FROM access."grant" WHERE subject = $1 AND ${IS_LIVE} ORDER BY created_at, id`,
      [subject],
    );
  }

  /** The roles that a subject holds now, and will still hold then, everywhere or in this very scope. */
  async rolesHeldUntil(subject: string, until: Until, scope: string | null): Promise<readonly string[]> {
    if (!canHoldGrants(subject)) return [];
    const rows = await this.unitOfWork.query<{ role: string }>(
      `SELECT DISTINCT role FROM access."grant"
       WHERE subject = $1 AND ${IS_LIVE} AND coalesce(expires_at, 'infinity') >= $2
         AND (scope IS NULL OR scope = $3)`,
      [subject, until === 'now' ? '-infinity' : until === 'ever' ? 'infinity' : until, scope],
    );
    return rows.map(({ role }) => role);
  }

  /** The different sets of roles that subjects hold together, those that begin later included; and how many hold each. */
  async heldTogether(): Promise<readonly RolesTogether[]> {
    return this.unitOfWork.query<RolesTogether>(
      `SELECT roles, count(*)::int AS count FROM (${ROLES_OF_SUBJECTS}) AS held GROUP BY roles`,
    );
  }

  /** Who holds exactly one of these sets of roles, as `heldTogether` names them; so many at most. */
  async holdersOf(
    sets: readonly (readonly string[])[],
    limit: number,
  ): Promise<readonly { readonly subject: string; readonly roles: readonly string[] }[]> {
    // Names of roles have no blank.
    return this.unitOfWork.query(
      `SELECT subject, roles FROM (${ROLES_OF_SUBJECTS}) AS held
        WHERE array_to_string(roles, ' ') = ANY ($1::text[]) ORDER BY subject LIMIT $2`,
      [sets.map((roles) => roles.join(' ')), limit],
    );
  }

  /**
   * Adds a grant, unless one of the same role and scope has not ended (the lock of `AccessChanges` keeps a second one from
   * coming in between) or the end lies in the past by the clock of the database.
   */
  async append(grant: NewGrant): Promise<'appended' | 'duplicate' | 'already-over'> {
    const { id, subject, role, scope, reason, grantedBy, notBefore, expiresAt } = grant;
    const [state] = await this.unitOfWork.query<{ duplicate: boolean; over: boolean }>(
      `SELECT EXISTS (SELECT FROM access."grant" WHERE subject = $1 AND role = $2
          AND scope IS NOT DISTINCT FROM $4 AND ${NOT_ENDED}) AS duplicate,
        coalesce($3::timestamptz <= clock_timestamp(), false) AS over`,
      [subject, role, expiresAt, scope],
    );
    if (state?.over !== false) return 'already-over';
    if (state.duplicate) return 'duplicate';
    await this.unitOfWork.query(
      `INSERT INTO access."grant" (id, subject, role, scope, reason, granted_by, not_before, expires_at)
       VALUES ($1, $2, $3, $4, $5, $6, $7, $8)`,
      [id, subject, role, scope, reason, grantedBy, notBefore, expiresAt],
    );
    return 'appended';
  }

  /** Ends a grant that has not ended; false when somebody was faster. */
  async end(id: string, by: string): Promise<boolean> {
    const ended = await this.unitOfWork.query(
      `UPDATE access."grant" SET revoked_at = clock_timestamp(), revoked_by = $2
       WHERE id = $1 AND ${NOT_ENDED} RETURNING id`,
      [id, by],
    );
    return ended.length === 1;
  }

  /** How many grants of a role have not ended. */
  async countOf(role: string): Promise<number> {
    const [row] = await this.unitOfWork.query<{ count: number }>(
      `SELECT count(*)::int AS count FROM access."grant" WHERE role = $1 AND ${NOT_ENDED}`,
      [role],
    );
    return row?.count ?? 0;
  }

  /** Who holds, now, everywhere and without an end, a role of each of the two lists. */
  async lastingHolders(oneOf: readonly string[], andOneOf: readonly string[]): Promise<ReadonlySet<string>> {
    const rows = await this.unitOfWork.query<{ subject: string }>(
      `SELECT subject FROM access."grant"
       WHERE ${IS_LIVE} AND expires_at IS NULL AND scope IS NULL AND (role = ANY ($1::text[]) OR role = ANY ($2::text[]))
       GROUP BY subject HAVING bool_or(role = ANY ($1::text[])) AND bool_or(role = ANY ($2::text[]))`,
      [oneOf, andOneOf],
    );
    return new Set(rows.map(({ subject }) => subject));
  }
}
