import type { INestApplication, ModuleMetadata, Type } from '@nestjs/common';
import { ExpressAdapter } from '@nestjs/platform-express';
import { FastifyAdapter } from '@nestjs/platform-fastify';
import { Test, type TestingModuleBuilder } from '@nestjs/testing';
import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { secureApplication } from '../../src/http/secure-application.js';

export type AdapterName = 'express' | 'fastify';

/** For `describe.each`: what holds on one adapter must hold on the other. */
export const ADAPTERS: readonly AdapterName[] = ['express', 'fastify'];

export interface ApplicationOptions {
  readonly adapter?: AdapterName;
  /** Replaces providers: `(builder) => builder.overrideProvider(Clock).useValue(clock)`. */
  readonly overrides?: (builder: TestingModuleBuilder) => TestingModuleBuilder;
  /** Runs between `secureApplication` and `listen`, where a main.ts would set what it needs. */
  readonly before?: (app: INestApplication) => void | Promise<void>;
  /** Options of FastifyAdapter. */
  readonly fastify?: ConstructorParameters<typeof FastifyAdapter>[0];
  /** Whether Nest's own log is shown. @default false */
  readonly log?: boolean;
}

export interface RunningApplication {
  readonly url: string;
  readonly port: number;
  readonly app: INestApplication<Server>;
  close(): Promise<void>;
}

/** An application as its main.ts would make it, listening on a free port of loopback. */
export async function startApplication(
  module: Type | Required<Pick<ModuleMetadata, 'imports'>>['imports'][number],
  options: ApplicationOptions = {},
): Promise<RunningApplication> {
  const builder = Test.createTestingModule({ imports: [module] });
  if (options.log !== true) builder.setLogger(false as never);
  const compiled = await (options.overrides?.(builder) ?? builder).compile();
  const adapter =
    options.adapter === 'fastify'
      ? new FastifyAdapter(options.fastify as object | undefined)
      : new ExpressAdapter();
  const app = compiled.createNestApplication<INestApplication<Server>>(adapter, {
    ...(options.log === true ? {} : { logger: false }),
  });
  try {
    await secureApplication(app);
    await options.before?.(app);
    await app.listen(0, '127.0.0.1');
  } catch (failure) {
    await app.close().catch(() => undefined);
    throw failure;
  }
  const { port } = app.getHttpServer().address() as AddressInfo;
  return { url: `http://127.0.0.1:${port}`, port, app, close: () => app.close() };
}
