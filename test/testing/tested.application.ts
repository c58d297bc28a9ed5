import type { INestApplication, ModuleMetadata } from '@nestjs/common';
import { ExpressAdapter } from '@nestjs/platform-express';
import { FastifyAdapter, type NestFastifyApplication } from '@nestjs/platform-fastify';
import { Test, type TestingModuleBuilder } from '@nestjs/testing';
import type { Server } from 'node:http';
import request from 'supertest';
import { secureApplication } from '../../src/http/secure-application.js';
import type { AdapterName } from '../support/application.js';

export interface Answered {
  readonly status: number;
  readonly headers: Readonly<Record<string, unknown>>;
  readonly body: unknown;
}

export interface TestedApplication {
  readonly app: INestApplication<Server>;
  /** As users of the kit ask: supertest on Express, `inject` on Fastify; nothing listens before. */
  ask(method: 'GET' | 'POST' | 'DELETE', path: string, headers?: Record<string, string>): Promise<Answered>;
  close(): Promise<void>;
}

export const newAdapter = (name: AdapterName): ExpressAdapter | FastifyAdapter =>
  name === 'fastify' ? new FastifyAdapter() : new ExpressAdapter();

/** An application of a testing module, initialised as `main.ts` would. */
export async function startTested(
  adapter: AdapterName,
  metadata: ModuleMetadata,
  overrides: (builder: TestingModuleBuilder) => TestingModuleBuilder = (builder) => builder,
  before: (app: INestApplication<Server>) => unknown = () => undefined,
): Promise<TestedApplication> {
  const builder = overrides(Test.createTestingModule(metadata)).setLogger(false as never);
  const app = (await builder.compile()).createNestApplication<INestApplication<Server>>(newAdapter(adapter), {
    logger: false,
  });
  await secureApplication(app);
  await before(app);
  await app.init();
  const fastify = adapter === 'fastify' ? (app as unknown as NestFastifyApplication) : undefined;
  await fastify?.getHttpAdapter().getInstance().ready();
  return {
    app,
    async ask(method, path, headers = {}) {
      if (fastify) {
        const { statusCode, headers: answered, body } = await fastify.inject({ method, url: path, headers });
        return { status: statusCode, headers: answered, body: parsed(body) };
      }
      const verb = method.toLowerCase() as 'get' | 'post' | 'delete';
      const answer = await request(app.getHttpServer())[verb](path).set(headers);
      return {
        status: answer.status,
        headers: answer.headers,
        body: parsed(answer.text),
      };
    },
    close: () => app.close(),
  };
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}
