import { Test, type TestingModule } from '@nestjs/testing';
import { Secret, TOTP } from 'otpauth';
import pg from 'pg';
import { AccessModule } from '../../src/access/access.module.js';
import { SYSTEM_PRINCIPAL } from '../../src/access/grants/actor.js';
import { AuditModule } from '../../src/audit/audit.module.js';
import { Clock } from '../../src/core/clock.js';
import { PipelineModule } from '../../src/core/pipeline.module.js';
import type { Principal } from '../../src/core/principal.js';
import { RequestContext } from '../../src/core/request-context.js';
import { SecurityEvents, type PublishedSecurityEvent } from '../../src/core/security-events.js';
import { DatabaseModule } from '../../src/database/database.module.js';
import { EncryptionModule } from '../../src/encryption/encryption.module.js';
import { generateMasterKey } from '../../src/encryption/master-key.js';
import type { Account } from '../../src/identity/accounts/account.store.js';
import { AccountsService } from '../../src/identity/accounts/accounts.service.js';
import { Argon2Engine } from '../../src/identity/passwords/argon2.engine.js';
import { IdentityModule } from '../../src/identity/identity.module.js';
import type { IdentityOptions } from '../../src/identity/identity.options.js';
import { PasswordChangeService } from '../../src/identity/passwords/password-change.service.js';
import type { FactorMethod } from '../../src/identity/second-factors/second-factor.verifier.js';
import { SecondFactorsService } from '../../src/identity/second-factors/second-factors.service.js';
import { SignInChallenges } from '../../src/identity/sign-in/sign-in-challenges.service.js';
import { SignInService } from '../../src/identity/sign-in/sign-in.service.js';
import { SessionsModule } from '../../src/sessions/sessions.module.js';
import type { OpenedSession } from '../../src/sessions/sessions.service.js';
import { ThrottlingModule } from '../../src/throttler/throttling.module.js';
import type { ThrottlingOptions } from '../../src/throttler/throttling.options.js';
import { createTestDatabase, type TestDatabase } from '../support/database.js';
import { CountingEngine } from './passwords/counting.engine.js';

export const PASSWORD = 'tea house rain moss';

/** A clock that moves only when a test says so; it starts at the time of the database's. */
export class HeldClock extends Clock {
  atMs = Date.now();

  override nowMs(): number {
    return this.atMs;
  }

  /** What an app shows at the held time, or some steps later. */
  codeOf(secret: string, steps = 0): string {
    return TOTP.generate({ secret: Secret.fromBase32(secret), timestamp: this.atMs + steps * 30_000 });
  }

  /** A code that no step near the held time has. */
  wrongCodeOf(secret: string): string {
    const near = new Set([-2, -1, 0, 1, 2].map((steps) => this.codeOf(secret, steps)));
    return ['000000', '111111', '222222', '333333', '444444', '555555'].find((code) => !near.has(code))!;
  }
}

export interface Owner {
  readonly id: string;
  readonly email: string;
  /** Base32. */
  readonly secret: string;
  readonly recoveryCodes: readonly string[];
}

/** The rooms from the database to identity, without HTTP, on a database. */
export class IdentityServices {
  readonly accounts: AccountsService;
  readonly signIn: SignInService;
  readonly factors: SecondFactorsService;
  readonly challenges: SignInChallenges;
  readonly passwords: PasswordChangeService;
  readonly events: PublishedSecurityEvent[] = [];

  private constructor(
    readonly app: TestingModule,
    readonly engine: CountingEngine,
    readonly clock: HeldClock,
  ) {
    this.accounts = app.get(AccountsService);
    this.signIn = app.get(SignInService);
    this.factors = app.get(SecondFactorsService);
    this.challenges = app.get(SignInChallenges);
    this.passwords = app.get(PasswordChangeService);
    app.get(SecurityEvents).subscribe((event) => void this.events.push(event));
  }

  static async start(
    database: TestDatabase,
    options: IdentityOptions = {},
    throttling: ThrottlingOptions = {},
  ): Promise<IdentityServices> {
    const [engine, clock] = [new CountingEngine(), new HeldClock()];
    const app = await Test.createTestingModule({
      imports: [
        PipelineModule,
        DatabaseModule.forRoot({ url: database.appUrl }),
        EncryptionModule.forRoot({ masterKey: MASTER_KEY }),
        AuditModule.forRoot({ readerUrl: database.auditUrl }),
        ThrottlingModule.forRoot(throttling),
        AccessModule.forRoot({}),
        SessionsModule.forRoot({
          issuer: 'https://portal.example.test',
          audience: 'https://portal.example.test',
        }),
        IdentityModule.forRoot(options),
      ],
    })
      .overrideProvider(Argon2Engine)
      .useValue(engine)
      .overrideProvider(Clock)
      .useValue(clock)
      .compile();
    await app.init();
    return new IdentityServices(app, engine, clock);
  }

  /** Runs `work` as a request that comes from an address. */
  from<T>(sourceAddress: string, work: () => Promise<T>): Promise<T> {
    const context = new RequestContext({
      transport: 'http',
      receivedAtMs: this.clock.nowMs(),
      sourceAddress,
    });
    return RequestContext.run(context, work);
  }

  create(email: string, password = PASSWORD): Promise<Account> {
    return this.accounts.create({ email, displayName: 'Somebody', password });
  }

  /** An account with a second factor, as a seed makes it. */
  async createWithFactor(email: string): Promise<Owner> {
    const { id } = await this.create(email);
    const { secret, recoveryCodes } = await this.factors.provisionTotp(id, SYSTEM_PRINCIPAL);
    return { id, email, secret, recoveryCodes };
  }

  /** Signs in an account without a second factor. */
  async signInAs(email: string, password: string): Promise<OpenedSession> {
    const signedIn = await this.signIn.signIn(email, password, 'token');
    if (signedIn.status !== 'authenticated') throw new TypeError('a second factor is asked for');
    return signedIn.session;
  }

  /** Gives the password of an account with a second factor. @returns the challenge. */
  async challengeOf(email: string, password = PASSWORD): Promise<string> {
    const asked = await this.signIn.signIn(email, password, 'token');
    if (asked.status !== 'mfa_required') throw new TypeError('no second factor is asked for');
    return asked.challengeId;
  }

  /** Who asks in a session that was opened a moment ago. */
  callerOf(accountId: string, sessionId: string | undefined, acr: 'aal1' | 'aal2'): Principal {
    const amr = acr === 'aal1' ? ['pwd'] : ['pwd', 'otp'];
    const session = sessionId === undefined ? {} : { sessionId };
    return { kind: 'account', subject: accountId, ...session, acr, amr, authTime: this.clock.nowSeconds() };
  }

  /** What comes of an answer: `in`, or the code of the refusal. */
  answer(challengeId: string, code: string, method: FactorMethod = 'totp'): Promise<string> {
    return this.challenges.answer(challengeId, method, code).then(
      () => 'in',
      (error: unknown) => (error as { code: string }).code,
    );
  }

  codeOf(secret: string, steps = 0): string {
    return this.clock.codeOf(secret, steps);
  }

  wrongCodeOf(secret: string): string {
    return this.clock.wrongCodeOf(secret);
  }

  actions(): string[] {
    return this.events.map(({ action }) => action);
  }
}

export const MASTER_KEY = generateMasterKey();

/** Counts nothing: for what must hold however many attempts get through. */
export const UNLIMITED: ThrottlingOptions = {
  storage: {
    increment: () =>
      Promise.resolve({ totalHits: 1, timeToExpire: 1, isBlocked: false, timeToBlockExpire: 0 }),
  },
};

/** A database, a look behind the scenes, and services on it that end with it. */
export class IdentityDatabase {
  readonly #started: IdentityServices[] = [];

  private constructor(
    readonly database: TestDatabase,
    readonly owner: pg.Client,
  ) {}

  static async create(): Promise<IdentityDatabase> {
    const database = await createTestDatabase();
    const owner = new pg.Client({ connectionString: database.ownerUrl });
    await owner.connect();
    return new IdentityDatabase(database, owner);
  }

  async start(options: IdentityOptions = {}, throttling: ThrottlingOptions = {}): Promise<IdentityServices> {
    const services = await IdentityServices.start(this.database, options, throttling);
    this.#started.push(services);
    return services;
  }

  async rows<Row extends pg.QueryResultRow>(sql: string, values: unknown[] = []): Promise<Row[]> {
    return (await this.owner.query<Row>(sql, values)).rows;
  }

  /** Writes as somebody who can write the table and also fakes the event that the table asks for. */
  async tamper(sql: string, values: unknown[]): Promise<void> {
    await this.owner.query('BEGIN');
    await this.owner.query("INSERT INTO audit.pending (id, entry) VALUES (gen_random_uuid(), '{}')");
    await this.owner.query(sql, values);
    await this.owner.query('COMMIT');
  }

  async hashOf(id: string): Promise<string> {
    const [row] = await this.rows<{ password_hash: string }>(
      'SELECT password_hash FROM identity.account WHERE id = $1',
      [id],
    );
    return row!.password_hash;
  }

  async close(): Promise<void> {
    for (const { app } of this.#started) await app.close();
    await this.owner.end();
    await this.database.drop();
  }
}
