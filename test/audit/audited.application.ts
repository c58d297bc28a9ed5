import {
  Catch,
  Injectable,
  Module,
  type ArgumentsHost,
  type ExceptionFilter,
  type ExecutionContext,
  type INestApplication,
  ValidationPipe,
} from '@nestjs/common';
import { Test } from '@nestjs/testing';
import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import pg from 'pg';
import { AuditModule } from '../../src/audit/audit.module.js';
import type { AuditOptions } from '../../src/audit/audit.options.js';
import { AuditRecorder } from '../../src/audit/audit.recorder.js';
import { Authenticator } from '../../src/core/authenticator.js';
import { Clock } from '../../src/core/clock.js';
import { PASSED, Pipeline, refused } from '../../src/core/pipeline.js';
import { PipelineModule } from '../../src/core/pipeline.module.js';
import type { Principal } from '../../src/core/principal.js';
import { SecurityEvents } from '../../src/core/security-events.js';
import { RequestContext } from '../../src/core/request-context.js';
import { ZeroTrustError } from '../../src/core/zero-trust-error.js';
import { DatabaseModule } from '../../src/database/database.module.js';
import { UnitOfWork } from '../../src/database/unit-of-work.js';
import { createTestDatabase, type TestDatabase } from '../support/database.js';
import { AT_MS } from './published-event.js';

/** A clock that moves only when a test says so. */
export class StillClock extends Clock {
  atMs = AT_MS;

  override nowMs(): number {
    return this.atMs;
  }
}

/** Believes whoever says in `x-test-subject` who they are; `auditor` may read the log, nobody else may anything. */
@Injectable()
class TrustingAuthenticator extends Authenticator {
  constructor(pipeline: Pipeline) {
    super();
    pipeline.useAuthenticator(this);
    pipeline.register({
      name: 'authorize',
      judge: ({ policy, context }) => {
        if (policy.kind === 'permission' && context.principal?.subject === 'auditor') return PASSED;
        const detail = 'a permission is missing';
        return refused(detail, new ZeroTrustError('permission-denied', { detail }));
      },
    });
  }

  authenticate(execution: ExecutionContext): Principal | undefined {
    const request = execution.switchToHttp().getRequest<{ headers: Record<string, string | undefined> }>();
    const subject = request.headers['x-test-subject'];
    return subject === undefined ? undefined : { kind: 'account', subject };
  }
}

@Catch(ZeroTrustError)
class StatusFilter implements ExceptionFilter {
  catch(error: ZeroTrustError, host: ArgumentsHost): void {
    host
      .switchToHttp()
      .getResponse<{ status(code: number): { json(body: object): void } }>()
      .status(error.status)
      .json({ code: error.code });
  }
}

@Module({ providers: [TrustingAuthenticator] })
class TrustingModule {}

export interface StoredEntry {
  readonly id: string;
  readonly entry: Buffer;
  readonly event: {
    readonly metadata: { readonly event_code: string };
    readonly count?: number;
    readonly [name: string]: unknown;
  };
}

/** A small application whose every security event is audited, on a database of its own. */
export class AuditedApplication {
  readonly events: SecurityEvents;
  readonly unitOfWork: UnitOfWork;
  readonly recorder: AuditRecorder;
  readonly clock: StillClock;
  readonly url: string;

  private constructor(
    readonly app: INestApplication,
    readonly database: TestDatabase,
    readonly owner: pg.Client,
  ) {
    this.events = app.get(SecurityEvents);
    this.unitOfWork = app.get(UnitOfWork);
    this.recorder = app.get(AuditRecorder);
    this.clock = app.get(Clock);
    const { port } = (app.getHttpServer() as Server).address() as AddressInfo;
    this.url = `http://127.0.0.1:${port}`;
  }

  static async start(options: Partial<AuditOptions> = {}): Promise<AuditedApplication> {
    const database = await createTestDatabase();
    const owner = new pg.Client({ connectionString: database.ownerUrl });
    await owner.connect();
    const built = await Test.createTestingModule({
      imports: [
        PipelineModule,
        DatabaseModule.forRoot({ url: database.appUrl }),
        AuditModule.forRoot({ readerUrl: database.auditUrl, ...options }),
        TrustingModule,
      ],
    })
      .overrideProvider(Clock)
      .useValue(new StillClock())
      .compile();
    const app = built.createNestApplication();
    app.use((_request: unknown, _response: unknown, next: () => void) => {
      RequestContext.run(new RequestContext({ transport: 'http', receivedAtMs: 0 }), next);
    });
    app.useGlobalFilters(new StatusFilter());
    app.useGlobalPipes(new ValidationPipe({ whitelist: true, forbidNonWhitelisted: true, transform: true }));
    await app.listen(0, '127.0.0.1');
    return new AuditedApplication(app, database, owner);
  }

  /** What stands in the log, in order. */
  async entries(): Promise<StoredEntry[]> {
    const { rows } = await this.owner.query<Omit<StoredEntry, 'event'>>(
      'SELECT id, entry FROM audit.pending ORDER BY recorded_at, id',
    );
    return rows.map((row) => ({ ...row, event: JSON.parse(row.entry.toString()) as StoredEntry['event'] }));
  }

  /** Actions of the log, in order. */
  async actions(): Promise<string[]> {
    return (await this.entries()).map(({ event }) => event.metadata.event_code);
  }

  async get(path: string, subject?: string): Promise<{ status: number; body: unknown }> {
    const headers: Record<string, string> = subject === undefined ? {} : { 'x-test-subject': subject };
    const response = await fetch(`${this.url}${path}`, { headers });
    return { status: response.status, body: await response.json() };
  }

  async close(): Promise<void> {
    await this.app.close();
    await this.owner.end();
    await this.database.drop();
  }
}
