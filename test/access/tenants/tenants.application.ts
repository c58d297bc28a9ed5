import { Controller, Get, Module, Param, Post, Sse, type INestApplication, type Type } from '@nestjs/common';
import { fileURLToPath } from 'node:url';
import pg from 'pg';
import { concat, NEVER, of, type Observable } from 'rxjs';
import { getRepositoryToken } from '@nestjs/typeorm';
import { Column, Entity, PrimaryColumn, type Repository } from 'typeorm';
import { SYSTEM_PRINCIPAL } from '../../../src/access/grants/actor.js';
import { GrantsService } from '../../../src/access/grants/grants.service.js';
import { RolesService } from '../../../src/access/grants/roles.service.js';
import { Scopes } from '../../../src/access/grants/scopes.js';
import { RequestContext } from '../../../src/core/request-context.js';
import { Authenticated, Public, RequirePermission } from '../../../src/core/route-policy.js';
import { DatabaseModule } from '../../../src/database/database.module.js';
import { migrate } from '../../../src/database/migrate.js';
import { UnitOfWork } from '../../../src/database/unit-of-work.js';
import { createTestDatabase, type TestDatabase } from '../../support/database.js';
import {
  startHostile,
  type HostileApplication,
  type HostileOptions,
} from '../../support/hostile.application.js';
import { newSubject } from '../access.fixtures.js';

export const MIGRATIONS = fileURLToPath(new URL('./migrations/', import.meta.url));

@Entity({ schema: 'projects', name: 'project' })
export class Project {
  @PrimaryColumn('uuid') id!: string;
  @Column('text', { name: 'tenant_id' }) tenantId!: string;
  @Column('text') name!: string;
}

@Entity({ schema: 'projects', name: 'task' })
export class Task {
  @PrimaryColumn('uuid') id!: string;
  @Column('text', { name: 'tenant_id' }) tenantId!: string;
  @Column('uuid', { name: 'project_id' }) projectId!: string;
  @Column('text') title!: string;
}

export const permissions = { projects: ['read', 'write'] } as const;
export const ACME = ['acme one', 'acme two', 'acme three'] as const;
export const GLOBEX = ['globex one', 'globex two'] as const;

/** What a request does, by the name in its path: a test writes it down, the request runs it. */
export type Work = () => unknown;

/** Two tenants and their projects, with every migration of the kit and those beside this file. */
export async function createTenantDatabase(): Promise<TestDatabase> {
  const database = await createTestDatabase();
  const sample = fileURLToPath(new URL('../../../sample/migrations/', import.meta.url));
  await migrate({ ownerUrl: database.ownerUrl, directories: [sample, MIGRATIONS] });
  await reseed(database);
  return database;
}

export async function reseed(database: TestDatabase): Promise<void> {
  await asSuperuser(
    database,
    `TRUNCATE projects.project CASCADE;
     INSERT INTO projects.project
       SELECT gen_random_uuid(), split_part(name, ' ', 1), name FROM unnest(ARRAY['${[...ACME, ...GLOBEX].join("','")}']) AS name;
     INSERT INTO projects.task SELECT gen_random_uuid(), tenant_id, id, 'task of ' || name FROM projects.project`,
  );
}

/** Past every policy: what is really there. */
export function asSuperuser<Row>(database: TestDatabase, sql: string, values?: unknown[]): Promise<Row[]> {
  return queryAs(database.superuserUrl, sql, values);
}

export async function queryAs<Row>(url: string, sql: string, values?: unknown[]): Promise<Row[]> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    const answer = await client.query(sql, values);
    return answer.rows as Row[];
  } finally {
    await client.end();
  }
}

/** Every row of both tables, whoever's it is: equal before and after what must change nothing. */
export function everything(database: TestDatabase): Promise<unknown[]> {
  return asSuperuser(
    database,
    `SELECT (SELECT jsonb_agg(p ORDER BY id) FROM projects.project p) AS projects,
            (SELECT jsonb_agg(t ORDER BY id) FROM projects.task t) AS tasks`,
  );
}

export interface TenantsApplication extends HostileApplication {
  readonly works: Map<string, Work>;
  readonly unitOfWork: UnitOfWork;
  readonly projects: Repository<Project>;
  readonly tasks: Repository<Task>;
  /** Somebody new with the role `member` in each of these scopes; none: everywhere. */
  member(...scopes: string[]): Promise<string>;
}

/** The least application with tenants: what `docs/tenants.md` tells a host to write. */
export async function startTenants(
  database: TestDatabase,
  options: Partial<HostileOptions> = {},
): Promise<TenantsApplication> {
  const works = new Map<string, Work>();
  const run = (name: string): unknown => works.get(name)?.();

  @Controller()
  class WorkController {
    @Post('tenant/:name')
    @RequirePermission('projects:read' as never, { within: 'tenant' })
    async ofTenant(@Param('name') name: string): Promise<unknown> {
      return { tenant: RequestContext.current()?.tenant ?? null, answer: (await run(name)) ?? null };
    }

    @Get('projects')
    @RequirePermission('projects:read' as never, { within: 'tenant' })
    list(): unknown {
      return run('list');
    }

    @Sse('changes')
    @RequirePermission('projects:read' as never, { within: 'tenant' })
    changes(): Observable<{ data: string }> {
      return concat(of({ data: RequestContext.current()?.tenant ?? 'none' }), NEVER);
    }

    @Post('global/:name')
    @RequirePermission('projects:read' as never)
    async everywhere(@Param('name') name: string): Promise<unknown> {
      return { tenant: RequestContext.current()?.tenant ?? null, answer: (await run(name)) ?? null };
    }

    @Post('somebody/:name')
    @Authenticated()
    async somebody(@Param('name') name: string): Promise<unknown> {
      return { tenant: RequestContext.current()?.tenant ?? null, answer: (await run(name)) ?? null };
    }

    @Post('public/:name')
    @Public()
    async anybody(@Param('name') name: string): Promise<unknown> {
      return { tenant: RequestContext.current()?.tenant ?? null, answer: (await run(name)) ?? null };
    }
  }

  @Module({})
  class TenantsModule {
    constructor(scopes: Scopes) {
      scopes.knownBy('tenant', {
        exists: (id) => Promise.resolve(['acme', 'globex', 'initech'].includes(id)),
      });
    }
  }

  const started = await startHostile({
    databaseUrl: database.appUrl,
    auditUrl: database.auditUrl,
    ...options,
    controllers: [WorkController, ...(options.controllers ?? [])],
    imports: [TenantsModule, DatabaseModule.forFeature([Project, Task]), ...(options.imports ?? [])],
    access: { permissions, scopes: ['tenant'], tenants: { header: 'x-tenant' }, ...options.access },
  });
  const { app } = started;
  await app.get(RolesService).sync({ member: { permissions: ['projects:read'] as never } }, SYSTEM_PRINCIPAL);
  return {
    ...started,
    works,
    unitOfWork: app.get(UnitOfWork),
    projects: repository(app, Project),
    tasks: repository(app, Task),
    async member(...scopes) {
      const subject = newSubject();
      for (const scope of scopes.length === 0 ? [undefined] : scopes) {
        await app
          .get(GrantsService)
          .grant({ subject, role: 'member', reason: 'test', ...(scope && { scope }) }, SYSTEM_PRINCIPAL);
      }
      return subject;
    },
  };
}

function repository<T extends object>(app: INestApplication, entity: Type<T>): Repository<T> {
  return app.get<Repository<T>>(getRepositoryToken(entity), { strict: false });
}
