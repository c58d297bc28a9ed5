import { Controller, Get, Injectable, Module, Post, Req } from '@nestjs/common';
import {
  AccessService,
  Authenticated,
  CurrentFilter,
  CurrentPrincipal,
  CurrentResource,
  fieldRules,
  is,
  objectRule,
  Public,
  RequestContext,
  RequirePermission,
  ResourceResolver,
  SUBJECT,
  SystemTask,
  UnitOfWork,
  type ListFilter,
  type Principal,
} from 'nestjs-zero-trust';
import type { ZeroTrustTestingOptions } from '../../src/testing/zero-trust-testing.module.js';

export const OPTIONS: ZeroTrustTestingOptions = {
  permissions: { documents: ['read', 'read-any', 'write', 'share'], invoices: ['read', 'approve'] },
  roles: {
    viewer: { permissions: ['documents:read'] },
    editor: { permissions: ['documents:write'], inherits: ['viewer'] },
    clerk: { permissions: ['invoices:read'] },
    approver: { permissions: ['invoices:approve'] },
  },
  scopes: ['tenant', 'project'],
  tenants: { header: 'x-tenant' },
  separationOfDuty: [{ name: 'who makes does not approve', roles: ['clerk', 'approver'] }],
};

export const PERSON = '11111111-1111-4111-8111-111111111111';

export interface Task {
  readonly id: string;
  readonly ownerId: string;
  readonly tenantId: string;
  readonly projectId: string;
}

/** By what its id says: `acme.7` is of the tenant acme and its project 7, owned by PERSON. */
@Injectable()
export class TaskResource extends ResourceResolver<Task> {
  override readonly idFormat = /^[a-z0-9]+\.[a-z0-9]+$/;
  readonly rule = objectRule<Task>({
    type: 'task',
    name: 'owned',
    when: is('ownerId', SUBJECT),
    overriddenBy: 'documents:read-any',
    scopes: { tenant: 'tenantId', project: 'projectId' },
  });

  load(id: string): Promise<Task | null> {
    const [tenantId = '', projectId = ''] = id.split('.');
    return Promise.resolve(projectId === 'none' ? null : { id, ownerId: PERSON, tenantId, projectId });
  }
}

const listed = objectRule<Task>({
  type: 'task',
  name: 'owned',
  when: is('ownerId', SUBJECT),
  scopes: { project: 'projectId' },
});

const fields = fieldRules<{ id: string; iban: string }>({
  type: 'payee',
  fields: { id: { read: true }, iban: { read: 'documents:share', mask: () => '****' } },
});

@Injectable()
export class NightlyTask {
  constructor(private readonly access: AccessService) {}

  @SystemTask({ name: 'nightly', permissions: ['documents:read-any'] })
  async run(): Promise<readonly boolean[]> {
    return [await this.access.holds('documents:read-any'), await this.access.holds('documents:write')];
  }
}

/** What a feature may ask of the kit, each under a path of its own. */
@Controller()
export class JudgedController {
  constructor(
    private readonly access: AccessService,
    private readonly unitOfWork: UnitOfWork,
  ) {}

  @Get('open')
  @Public()
  open(): object {
    return {};
  }

  @Get('me')
  @Authenticated()
  me(@CurrentPrincipal() caller: Principal): Principal {
    return caller;
  }

  @Get('read')
  @RequirePermission('documents:read')
  read(): object {
    return {};
  }

  @Get('write')
  @RequirePermission('documents:write', 'documents:read')
  write(): object {
    return {};
  }

  @Get('tenant')
  @RequirePermission('documents:read', { within: 'tenant' })
  tenant(): object {
    return { tenant: RequestContext.current()?.tenant };
  }

  @Get('tasks/:id')
  @RequirePermission('documents:read', { resource: TaskResource })
  task(@CurrentResource() task: Task): Task {
    return task;
  }

  @Get('list')
  @RequirePermission('documents:read', { list: listed })
  list(@CurrentFilter() filter: ListFilter<Task>): object {
    return { filter: filter.constructor.name };
  }

  @Get('asked/held')
  @Authenticated()
  async held(@CurrentPrincipal() { subject }: Principal): Promise<object> {
    return {
      permissions: await this.access.permissionsOf(subject),
      roles: await this.access.rolesOf(subject),
      holds: await this.access.holds('documents:read'),
      decision: await this.access.decide('documents:write'),
    };
  }

  /** Of somebody else: where nothing is stored, nobody knows. */
  @Get('asked/another')
  @Authenticated()
  async another(): Promise<readonly string[]> {
    const asked = [this.access.permissionsOf(PERSON), this.access.rolesOf(PERSON)];
    return (await Promise.allSettled(asked)).map(({ status }) => status);
  }

  @Get('asked/required')
  @Authenticated()
  async required(): Promise<object> {
    await this.access.require('documents:share');
    return {};
  }

  @Get('asked/revealed')
  @Authenticated()
  revealed(): Promise<object> {
    return this.access.reveal(fields, { id: '1', iban: 'DE02' });
  }

  @Get('asked/database')
  @Authenticated()
  database(): Promise<unknown> {
    return this.unitOfWork.query('SELECT 1');
  }

  @Post('work')
  @Authenticated()
  async work(@Req() { headers }: { headers: Readonly<Record<string, unknown>> }): Promise<readonly string[]> {
    const order: string[] = [];
    const say = (what: string) => (): void => {
      order.push(`${what} ${String(this.unitOfWork.active)}`);
    };
    await this.unitOfWork.run(async () => {
      await this.unitOfWork.afterCommit(say('after'));
      this.unitOfWork.beforeCommit(say('before'));
      await this.unitOfWork.run(async () => {
        await Promise.resolve();
        say('within')();
      });
      if (headers['x-fail']) throw new Error('the work failed');
    });
    return order;
  }
}

@Module({ controllers: [JudgedController], providers: [TaskResource, NightlyTask] })
export class JudgedModule {}
