import { Injectable, type OnApplicationBootstrap } from '@nestjs/common';
import { BootError } from '../core/zero-trust-error.js';
import { UnitOfWork } from '../database/unit-of-work.js';
import { AccessSettings } from './access.settings.js';

/** A table with the tenants' column, as far as the application's login may use it, and how it is kept apart. */
interface TenantTable {
  readonly name: string;
  readonly enabled: boolean;
  readonly forced: boolean;
  readonly policies: number;
}

const TENANT_TABLES = `
  SELECT format('%I.%I', n.nspname, c.relname) AS name, c.relrowsecurity AS enabled, c.relforcerowsecurity AS forced,
         (SELECT count(*)::int FROM pg_catalog.pg_policy p WHERE p.polrelid = c.oid) AS policies
    FROM pg_catalog.pg_attribute a
    JOIN pg_catalog.pg_class c ON c.oid = a.attrelid AND c.relkind IN ('r', 'p')
    JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
   WHERE a.attname = $1 AND a.attnum > 0 AND NOT a.attisdropped
     AND has_any_column_privilege(c.oid, 'SELECT, INSERT, UPDATE')
   ORDER BY 1`;

const EXEMPT = `
  SELECT rolsuper OR rolbypassrls AS exempt FROM pg_catalog.pg_roles WHERE rolname = current_user`;

/**
 * The second lock (ASVS 8.4.1): whatever a query forgets, PostgreSQL shows one tenant's rows. A table that has the
 * tenants' column and no forced row-level security would be open to a forgotten WHERE: nothing starts with one.
 */
@Injectable()
export class TenantTables implements OnApplicationBootstrap {
  constructor(
    private readonly unitOfWork: UnitOfWork,
    private readonly settings: AccessSettings,
  ) {}

  /** @throws BootError that names each table and the statement that mends it. */
  async onApplicationBootstrap(): Promise<void> {
    const { tenants } = this.settings;
    if (!tenants) return;
    const [login] = await this.unitOfWork.query<{ exempt: boolean }>(EXEMPT);
    const tables = await this.unitOfWork.query<TenantTable>(TENANT_TABLES, [tenants.column]);
    const faults = tables.flatMap(({ name, enabled, forced, policies }) => [
      ...(enabled && forced
        ? []
        : [
            `${name} has "${tenants.column}" and no forced row-level security: ` +
              `ALTER TABLE ${name} ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY`,
          ]),
      ...(policies > 0
        ? []
        : [
            `${name} has "${tenants.column}" and no policy: CREATE POLICY tenant ON ${name} ` +
              `USING (${tenants.column} = (SELECT access.current_tenant()))`,
          ]),
    ]);
    if (login?.exempt !== false) {
      faults.push(
        "the application's login bypasses row-level security: ALTER ROLE … NOSUPERUSER NOBYPASSRLS",
      );
    }
    if (faults.length > 0) throw new BootError('AccessModule', faults);
  }
}
