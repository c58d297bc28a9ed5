import type { INestApplication, Type } from '@nestjs/common';
import type { TestingModuleBuilder } from '@nestjs/testing';
import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Secret, TOTP } from 'otpauth';
import { AppModule } from '../../sample/src/app.module.js';
import { seedDemoAccounts, type DemoAccount } from '../../sample/src/demo-accounts.js';
import { AccountsService } from '../../src/identity/accounts/accounts.service.js';
import { resolveThrottlingOptions, THROTTLING_SETTINGS } from '../../src/throttler/throttling.options.js';
import { startApplication, type AdapterName } from './application.js';
import { createTestDatabase, type TestDatabase } from './database.js';

export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  // eslint-disable-next-line @typescript-eslint/no-explicit-any -- a test asserts what is in it
  readonly body: any;
  readonly text: string;
}

/** Somebody who calls the service, with or without a token. */
export class Caller {
  constructor(
    private readonly url: string,
    readonly token?: string,
  ) {}

  get = (path: string): Promise<Answer> => this.send('GET', path);
  delete = (path: string): Promise<Answer> => this.send('DELETE', path);
  post = (path: string, body?: unknown): Promise<Answer> => this.send('POST', path, body);
  patch = (path: string, body: unknown): Promise<Answer> => this.send('PATCH', path, body);
  put = (path: string, body: unknown): Promise<Answer> => this.send('PUT', path, body);

  async send(
    method: string,
    path: string,
    body?: unknown,
    headers: Record<string, string> = {},
  ): Promise<Answer> {
    const response = await fetch(`${this.url}${path}`, {
      method,
      headers: {
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        ...(this.token ? { authorization: `Bearer ${this.token}` } : {}),
        ...headers,
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      redirect: 'manual',
    });
    const text = await response.text();
    const json = (response.headers.get('content-type') ?? '').includes('json') && text !== '';
    return {
      status: response.status,
      headers: response.headers,
      text,
      body: json ? (JSON.parse(text) as unknown) : undefined,
    };
  }
}

export interface Sample {
  readonly url: string;
  readonly app: INestApplication;
  readonly database: TestDatabase;
  readonly accounts: readonly DemoAccount[];
  readonly anonymous: Caller;
  /** Signs a demo account in over HTTP, with its second factor where it has one: those twice in 30 seconds at most. */
  signIn(name: string): Promise<Caller>;
  /** What the app of a demo account shows, not used before. */
  codeOf(name: string): string;
  accountId(name: string): Promise<string>;
  close(): Promise<void>;
}

export interface SampleOptions {
  readonly adapter?: AdapterName;
  /** What is started. @default the service as it is in production */
  readonly root?: Type;
  /** Another way to the same database, e.g. through a proxy that breaks. */
  readonly through?: (database: TestDatabase) => Promise<{ appUrl: string; auditUrl: string }>;
  readonly environment?: Readonly<Record<string, string>>;
  /** Keeps the limits that the service has when it is left alone. */
  readonly strictLimits?: boolean;
  /** Replaces providers, or has somebody else do so. */
  readonly overrides?: (builder: TestingModuleBuilder) => TestingModuleBuilder;
}

/** Codes of TOTP secrets, each used once: this step's, then the one that the drift allows. */
class FreshCodes {
  readonly #lastSteps = new Map<string, number>();

  next(secret: string): string {
    const now = TOTP.counter();
    const step = Math.max(now, (this.#lastSteps.get(secret) ?? 0) + 1);
    if (step > now + 1)
      throw new TypeError('every code of this time is used: keep the Caller of the first sign-in');
    this.#lastSteps.set(secret, step);
    return TOTP.generate({ secret: Secret.fromBase32(secret), timestamp: step * 30_000 });
  }
}

const GENEROUS = resolveThrottlingOptions({
  sourceRequests: 1_000_000,
  routeRequests: 1_000_000,
  principalRequests: 1_000_000,
  strictRequests: 1_000_000,
});

/** The sample service in this process, on a database of its own, with its demo accounts. */
export async function startSample(options: SampleOptions = {}): Promise<Sample> {
  const database = await createTestDatabase();
  const urls = (await options.through?.(database)) ?? database;
  const restore = setEnvironment({
    NODE_ENV: 'test',
    DATABASE_URL: urls.appUrl,
    DATABASE_AUDIT_URL: urls.auditUrl,
    ZERO_TRUST_MASTER_KEY: randomBytes(32).toString('base64'),
    PUBLIC_URL: 'https://portal.example.test',
    ...options.environment,
  });
  const folder = await mkdtemp(join(tmpdir(), 'sample-'));
  try {
    const started = await startApplication(options.root ?? AppModule, {
      adapter: options.adapter ?? 'express',
      // All tests come from one address: only what tests the limits keeps the strict ones.
      overrides: (builder) => {
        const overridden = options.overrides?.(builder) ?? builder;
        return options.strictLimits
          ? overridden
          : overridden.overrideProvider(THROTTLING_SETTINGS).useValue(GENEROUS);
      },
    });
    const { accounts } = await seedDemoAccounts(started.app, join(folder, 'demo-accounts.json'));
    const anonymous = new Caller(started.url);
    const codes = new FreshCodes();
    const accountOf = (name: string): DemoAccount => {
      const account = accounts.find(({ email }) => email === `${name}@example.test`);
      if (!account) throw new TypeError(`no demo account ${name}`);
      return account;
    };
    const codeOf = (name: string): string => {
      const { totpSecret } = accountOf(name);
      if (totpSecret === undefined) throw new TypeError(`${name} has no second factor`);
      return codes.next(totpSecret);
    };
    const signIn = async (name: string): Promise<Caller> => {
      const { email, password, totpSecret } = accountOf(name);
      let answer = await anonymous.post('/auth/login', { email, password, delivery: 'token' });
      if (totpSecret !== undefined && answer.status === 200) {
        const { challengeId } = answer.body as { challengeId: string };
        answer = await anonymous.post('/auth/login/mfa', { challengeId, method: 'totp', code: codeOf(name) });
      }
      if (answer.status !== 200) throw new Error(`sign-in of ${name}: ${answer.status} ${answer.text}`);
      return new Caller(started.url, (answer.body as { accessToken: string }).accessToken);
    };
    return {
      url: started.url,
      app: started.app,
      database,
      accounts,
      anonymous,
      signIn,
      codeOf,
      accountId: async (name) => {
        const account = await started.app.get(AccountsService).findByEmail(`${name}@example.test`);
        if (!account) throw new TypeError(`no demo account ${name}`);
        return account.id;
      },
      close: async () => {
        await started.close();
        await database.drop();
      },
    };
  } finally {
    restore();
    await rm(folder, { recursive: true, force: true });
  }
}

export function setEnvironment(values: Readonly<Record<string, string>>): () => void {
  const before = Object.keys(values).map((name) => [name, process.env[name]] as const);
  Object.assign(process.env, values);
  return () => {
    for (const [name, value] of before) {
      if (value === undefined) Reflect.deleteProperty(process.env, name);
      else process.env[name] = value;
    }
  };
}
