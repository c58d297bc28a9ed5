import type { DynamicModule, INestApplication, Type } from '@nestjs/common';
import { ApplicationConfig, ModulesContainer, NestFactory } from '@nestjs/core';
import { ExpressAdapter } from '@nestjs/platform-express';
import { FastifyAdapter } from '@nestjs/platform-fastify';
import type { AddressInfo } from 'node:net';
import type { AccessOptions } from '../../src/access/access.options.js';
import { resolveAccessOptions } from '../../src/access/access.settings.js';
import { ReportOnlyCoverage } from '../../src/access/report-only/report-only.coverage.js';
import type { RouteEntry } from '../../src/access/inventory/route-entry.js';
import { RouteInventory } from '../../src/access/inventory/route-inventory.js';
import type { Permission } from '../../src/core/permission.js';
import { RequirePermission } from '../../src/core/route-policy.js';
import { startHostile, type AdapterName, type HostileOptions } from '../support/hostile.application.js';

/** What every handler of a shape demands, once somebody has declared it. */
export const PERMISSION = 'shapes:use' as Permission;

/** An application in the manner of one of Nest's own samples, before anybody has heard of the kit. */
export interface Built {
  readonly module: Type | DynamicModule;
  /** Those with handlers. */
  readonly classes: readonly Type[];
  /** What main.ts sets between create and listen. */
  readonly configure?: (app: INestApplication) => unknown;
  /** The port of its microservice, when it has begun to listen. */
  readonly rpcPort?: () => number;
}

export interface Shape {
  /** The folder of nestjs/nest/sample that has this shape, and what is different. */
  readonly name: string;
  /** Cases of the attack catalogue that ask for this very shape. */
  readonly proves?: string;
  readonly adapters: readonly AdapterName[];
  /** Makes new classes each time, as a process of its own would: what is read of a handler is remembered. */
  readonly build: (adapter: AdapterName) => Built;
  /** Every way in, by hand, as the start names it. */
  readonly ways: readonly string[];
  /** What is reviewed beside the handlers. */
  readonly access?: AccessOptions;
  /** By handler: what a request needs beside its path. */
  readonly requests?: Readonly<Record<string, ShapeRequest>>;
}

export interface ShapeRequest {
  readonly fields?: readonly string[];
  readonly body?: string;
  /** Of a message. */
  readonly data?: object;
  /** The text of a GraphQL operation. */
  readonly operation?: string;
}

export interface RunningShape {
  readonly url: string;
  readonly port: number;
  readonly rpcPort: () => number;
  /** Every way in, by the inventory. */
  readonly entries: readonly RouteEntry[];
  /** `Class.method` of whatever ran since. */
  readonly ran: string[];
  close(): Promise<void>;
}

/** The application as it is without the kit. */
export async function startBare(shape: Shape, adapter: AdapterName): Promise<RunningShape> {
  const built = shape.build(adapter);
  const ran = watched(built.classes, shape, false);
  const app = await NestFactory.create(
    built.module,
    adapter === 'fastify' ? new FastifyAdapter() : new ExpressAdapter(),
    { logger: false, abortOnError: false },
  );
  await built.configure?.(app);
  await app.listen(0, '127.0.0.1');
  const { port } = (app.getHttpServer() as { address(): AddressInfo }).address();
  const modules = app.get(ModulesContainer);
  const coverage = new ReportOnlyCoverage(modules, resolveAccessOptions({}));
  const entries = new RouteInventory(modules, app.get(ApplicationConfig), coverage).entries();
  const close = (): Promise<void> => app.close();
  return { url: `http://127.0.0.1:${port}`, port, rpcPort: rpcPortOf(built), entries, ran, close };
}

/** The same with the kit added to it, and each of its handlers declared. */
export async function startDeclared(
  shape: Shape,
  adapter: AdapterName,
  databaseUrl: string,
): Promise<RunningShape> {
  const built = shape.build(adapter);
  const ran = watched(built.classes, shape, true);
  const { app, url, port, close } = await startHostile(withKit(shape, built, adapter, databaseUrl));
  const own = new Set(built.classes.map(({ name }) => name));
  const entries = app
    .get(RouteInventory)
    .entries()
    .filter(({ className }) => own.has(className));
  return { url, port, rpcPort: rpcPortOf(built), entries, ran, close };
}

export function withKit(
  shape: Shape,
  built: Built,
  adapter: AdapterName,
  databaseUrl: string,
): HostileOptions {
  return {
    databaseUrl,
    adapter,
    imports: [built.module],
    access: { ...shape.access, permissions: { shapes: ['use'] } },
    ...(built.configure && { configure: built.configure }),
  };
}

export const titleOf = ({ className, handlerName, transport, method, path }: RouteEntry): string =>
  `${className}.${handlerName} (${transport} ${method} ${path})`;

/** Notes each run of the handlers that the shape names, and declares them where that is asked. */
function watched(classes: readonly Type[], shape: Shape, declare: boolean): string[] {
  const ran: string[] = [];
  const names = new Set(shape.ways.map((way) => way.slice(0, way.indexOf(' '))));
  for (const name of names) {
    const [className, handlerName = ''] = name.split('.');
    const prototype = classes.find((each) => each.name === className)?.prototype as object;
    const handler = Object.getOwnPropertyDescriptor(prototype, handlerName)?.value as (
      ...given: unknown[]
    ) => unknown;
    const value = new Proxy(handler, {
      apply(target, self, given): unknown {
        ran.push(name);
        return Reflect.apply(target, self, given);
      },
    });
    for (const key of Reflect.getOwnMetadataKeys(handler)) {
      Reflect.defineMetadata(key, Reflect.getOwnMetadata(key, handler), value);
    }
    const descriptor = { value, configurable: true, writable: true, enumerable: false };
    Object.defineProperty(prototype, handlerName, descriptor);
    if (declare) RequirePermission(PERMISSION)(prototype, handlerName, descriptor);
  }
  return ran;
}

function rpcPortOf({ rpcPort }: Built): () => number {
  return (
    rpcPort ??
    ((): never => {
      throw new TypeError('the shape has no microservice');
    })
  );
}
