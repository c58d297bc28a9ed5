import type { INestApplication } from '@nestjs/common';
import { NestFactory, type AbstractHttpAdapter } from '@nestjs/core';
import { Option } from 'commander';
import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { hostExportOf } from './host-export.js';
import type { CliIo } from './run-cli.js';

/** Where a command finds the application that it is about. */
export interface HostFlags {
  readonly app: string;
  readonly export?: string;
}

export const APP_OPTION = new Option(
  '--app <file>',
  'compiled file with your module, e.g. dist/app.module.js',
).makeOptionMandatory();
export const EXPORT_OPTION = new Option(
  '--export <name>',
  'the module in it, or a function that returns the application (default: AppModule, default, the only module, createApplication)',
);

export const HOST_HELP = `
The application is created with its own settings, from the environment, and nothing of it listens or is initialised.
A prefix or versions that main.ts sets are seen only when a function sets them: name it with --export. What the
application prints meanwhile is left out.`;

const ignore = (): void => undefined;

/**
 * Creates the application without `init()`, so that one which would refuse to start can still be asked; closes it
 * afterwards.
 *
 * @throws Error in one line when the file, its export or the application is not to be had.
 */
export async function withHostApplication<T>(
  io: CliIo,
  flags: HostFlags,
  work: (app: INestApplication) => Promise<T>,
): Promise<T> {
  const app = await silenced(() => open(io, flags));
  try {
    return await work(app);
  } finally {
    await app.close();
  }
}

/** A provider of the kit. An application without it, or with another copy of the kit, has none of this class. */
export function kitProvider<T>(app: INestApplication, type: abstract new (...args: never[]) => T): T {
  try {
    return app.get<T>(type, { strict: false });
  } catch (cause) {
    const mend =
      'import ZeroTrustModule or AccessModule, and run the zero-trust of its own node_modules: npx zero-trust';
    throw new Error(`the application has no ${type.name}; ${mend}`, { cause });
  }
}

async function open(io: CliIo, { app: file, export: name }: HostFlags): Promise<INestApplication> {
  const path = resolve(file);
  if (!existsSync(path)) throw new Error(`${file} is not there; build the application, then name its module`);
  const namespace = await loaded(file, path);
  let found: ReturnType<typeof hostExportOf>;
  try {
    found = hostExportOf(namespace, name);
  } catch (error) {
    throw error instanceof TypeError ? new Error(`${file} ${error.message}`, { cause: error }) : error;
  }
  if (found.kind === 'module') {
    // Results alone belong to standard output; an error is said once, by runCli.
    const options = { abortOnError: false, logger: { log: ignore, warn: io.err, error: ignore } };
    return NestFactory.create(found.module, await httpAdapter(), options);
  }
  const app = (await found.create()) as Partial<INestApplication> | undefined;
  if (typeof app?.getHttpAdapter === 'function') return app as INestApplication;
  throw new Error(`${file}: ${name ?? 'createApplication'}() returned no Nest application`);
}

async function loaded(file: string, path: string): Promise<object> {
  try {
    return (await import(pathToFileURL(path).href)) as object;
  } catch (cause) {
    throw new Error(`${file} cannot be loaded: ${cause instanceof Error ? cause.message : String(cause)}`, {
      cause,
    });
  }
}

/** Nest's own choice ends the process when Express is missing. */
async function httpAdapter(): Promise<AbstractHttpAdapter> {
  try {
    return new (await import('@nestjs/platform-express')).ExpressAdapter();
  } catch (express) {
    try {
      return new (await import('@nestjs/platform-fastify')).FastifyAdapter();
    } catch {
      throw new Error('install @nestjs/platform-express or @nestjs/platform-fastify', { cause: express });
    }
  }
}

/** Keeps the application's own log out of the results: its start has nothing to say here. */
async function silenced<T>(work: () => Promise<T>): Promise<T> {
  const { stdout } = process;
  const own = Object.getOwnPropertyDescriptor(stdout, 'write');
  stdout.write = (_chunk: unknown, ...rest: unknown[]): boolean => {
    const done = rest.at(-1);
    if (typeof done === 'function') process.nextTick(done);
    return true;
  };
  try {
    return await work();
  } finally {
    if (own) Object.defineProperty(stdout, 'write', own);
    else Reflect.deleteProperty(stdout, 'write');
  }
}
