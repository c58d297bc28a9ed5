import { Injectable, type OnApplicationBootstrap } from '@nestjs/common';
import { BootError } from '../../core/zero-trust-error.js';
import { UnitOfWork } from '../../database/unit-of-work.js';
import { AccessSettings } from '../access.settings.js';

/** What the application's login may use of a table with the tenants' column, and how its rows are kept apart. */
interface TenantTable {
  readonly name: string;
  readonly foreign: boolean;
  readonly locked: boolean;
  readonly truncates: boolean;
  readonly policies: number;
  /** Policies that let rows through without asking for the tenant. */
  readonly open: readonly string[];
}

/** A view, or a materialized one, through which the login reads a tenant table. */
interface TenantView {
  readonly name: string;
  readonly materialized: boolean;
}

/** What can be read or written, also through a group, and is not the kit's own: its data keys name tenants of another kind. */
const TENANT_RELATIONS = `
  SELECT c.oid, c.relkind, c.relrowsecurity, c.relforcerowsecurity, format('%I.%I', n.nspname, c.relname) AS name
    FROM pg_catalog.pg_attribute a
    JOIN pg_catalog.pg_class c ON c.oid = a.attrelid AND c.relkind IN ('r', 'p', 'f')
    JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
   WHERE a.attname = $1 AND a.attnum > 0 AND NOT a.attisdropped
     AND (n.nspname, c.relname) <> ('encryption', 'data_key')`;

const ASKS = `position('current_tenant()' in pg_get_expr(p.polqual, p.polrelid)) > 0`;
const CHECKS = `position('current_tenant()' in pg_get_expr(p.polwithcheck, p.polrelid)) > 0`;

/**
 * Permissive policies are joined by OR: each of them must ask for the tenant, for what is read and for what is written,
 * unless a restrictive one does, which is joined by AND.
 */
const TENANT_TABLES = `
  WITH policy AS (
    SELECT p.polrelid, quote_ident(p.polname) AS name, p.polpermissive, p.polcmd,
           coalesce(${ASKS}, true) AND coalesce(${CHECKS}, true) AS asks
      FROM pg_catalog.pg_policy p
     WHERE EXISTS (SELECT FROM unnest(p.polroles) AS r WHERE r = 0 OR pg_has_role(r, 'MEMBER'))
  )
  SELECT t.name, t.relkind = 'f' AS foreign, t.relrowsecurity AND t.relforcerowsecurity AS locked,
         has_table_privilege(t.oid, 'TRUNCATE') AS truncates,
         (SELECT count(*)::int FROM policy p WHERE p.polrelid = t.oid AND p.polpermissive) AS policies,
         ARRAY(SELECT p.name FROM policy p WHERE p.polrelid = t.oid AND p.polpermissive AND NOT p.asks
                  AND NOT EXISTS (SELECT FROM policy r WHERE r.polrelid = t.oid AND NOT r.polpermissive AND r.polcmd = '*' AND r.asks)
                ORDER BY 1) AS open
    FROM (${TENANT_RELATIONS}) t
   WHERE has_any_column_privilege(t.oid, 'SELECT, INSERT, UPDATE') OR has_table_privilege(t.oid, 'DELETE, TRUNCATE')
   ORDER BY 1`;

/** Whatever reads a tenant table, however many views lie between. A view asks with its owner's rights unless it says otherwise. */
const TENANT_VIEWS = `
  WITH RECURSIVE reached (oid) AS (
    SELECT oid FROM (${TENANT_RELATIONS}) t
    UNION
    SELECT r.ev_class FROM reached
      JOIN pg_catalog.pg_depend d ON d.refobjid = reached.oid AND d.refclassid = 'pg_catalog.pg_class'::regclass
       AND d.classid = 'pg_catalog.pg_rewrite'::regclass
      JOIN pg_catalog.pg_rewrite r ON r.oid = d.objid
  )
  SELECT format('%I.%I', n.nspname, c.relname) AS name, c.relkind = 'm' AS materialized
    FROM reached JOIN pg_catalog.pg_class c USING (oid) JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
   WHERE c.relkind IN ('v', 'm') 
     AND (has_any_column_privilege(c.oid, 'SELECT, INSERT, UPDATE') OR has_table_privilege(c.oid, 'DELETE'))
     AND NOT EXISTS (SELECT FROM pg_catalog.pg_options_to_table(c.reloptions)
                      WHERE option_name = 'security_invoker' AND option_value::boolean)
   ORDER BY 1`;

const EXEMPT = `
  SELECT rolsuper OR rolbypassrls AS exempt FROM pg_catalog.pg_roles WHERE rolname = current_user`;

/**
 * The second lock (ASVS 8.4.1): whatever a query forgets, PostgreSQL shows one tenant's rows. What has the tenants' column
 * and would be open to a forgotten WHERE, by itself, through a view or a cache: nothing starts with it.
 */
@Injectable()
export class TenantTables implements OnApplicationBootstrap {
  constructor(
    private readonly unitOfWork: UnitOfWork,
    private readonly settings: AccessSettings,
  ) {}

  /** @throws BootError that names each table and view, and the statement that mends it. */
  async onApplicationBootstrap(): Promise<void> {
    const { tenants } = this.settings;
    if (!tenants) return;
    const { column } = tenants;
    const { cache } = this.unitOfWork.manager.dataSource.options;
    const [login] = await this.unitOfWork.query<{ exempt: boolean }>(EXEMPT);
    const tables = await this.unitOfWork.query<TenantTable>(TENANT_TABLES, [column]);
    const views = await this.unitOfWork.query<TenantView>(TENANT_VIEWS, [column]);
    const faults = [
      ...tables.flatMap((table) => tableFaults(table, column)),
      ...views.map(viewFault),
      // Kept by the text of a query, which is the same for every tenant.
      ...(cache
        ? [
            'the data source has a cache of results, which would show one tenant another\'s: take its option "cache" away',
          ]
        : []),
      ...(login?.exempt === false
        ? []
        : ["the application's login bypasses row-level security: ALTER ROLE … NOSUPERUSER NOBYPASSRLS"]),
    ];
    if (faults.length > 0) throw new BootError('AccessModule', faults);
  }
}

function tableFaults(
  { name, foreign, locked, truncates, policies, open }: TenantTable,
  column: string,
): readonly string[] {
  if (foreign) {
    return [
      `${name} has "${column}" and is a foreign table, which has no row-level security: REVOKE ALL ON ${name}`,
    ];
  }
  const expression = `${column} = (SELECT access.current_tenant())`;
  return [
    ...(locked
      ? []
      : [
          `${name} has "${column}" and no forced row-level security: ` +
            `ALTER TABLE ${name} ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY`,
        ]),
    ...(policies > 0
      ? []
      : [`${name} has "${column}" and no policy: CREATE POLICY tenant ON ${name} USING (${expression})`]),
    ...open.map(
      (policy) =>
        `${name} has the policy ${policy}, which lets rows through without asking for access.current_tenant(): ` +
        `ask for it, in USING and WITH CHECK, or make it AS RESTRICTIVE`,
    ),
    ...(truncates ? [`${name} can be emptied for all tenants at once: REVOKE TRUNCATE ON ${name}`] : []),
  ];
}

function viewFault({ name, materialized }: TenantView): string {
  return materialized
    ? `${name} keeps rows of all tenants, and a materialized view has no row-level security: REVOKE ALL ON ${name}`
    : `${name} reads a table of tenants with the rights of its owner: ALTER VIEW ${name} SET (security_invoker = true)`;
}
