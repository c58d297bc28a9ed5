import { Module, type INestApplication, type ModuleMetadata } from '@nestjs/common';
import type { OpenAPIObject } from '@nestjs/swagger';
import { randomBytes } from 'node:crypto';
import type { AccessOptions } from '../../src/access/access.options.js';
import { definePermissions } from '../../src/core/permission.js';
import { OpenApiDocument } from '../../src/openapi/openapi.document.js';
import { OpenApiModule } from '../../src/openapi/openapi.module.js';
import type { OpenApiOptions } from '../../src/openapi/openapi.options.js';
import { ZeroTrustModule } from '../../src/zero-trust.module.js';
import { startApplication, type AdapterName } from '../support/application.js';
import type { TestDatabase } from '../support/database.js';

export interface DocumentedOptions extends Pick<ModuleMetadata, 'controllers' | 'imports' | 'providers'> {
  readonly adapter?: AdapterName;
  readonly openapi?: Partial<OpenApiOptions>;
  readonly access?: Partial<AccessOptions>;
  readonly before?: (app: INestApplication) => void | Promise<void>;
}

export interface DocumentedApplication {
  readonly url: string;
  readonly app: INestApplication;
  readonly document: OpenAPIObject;
  close(): Promise<void>;
}

export type Operation = NonNullable<OpenAPIObject['paths'][string]['get']> &
  Readonly<Record<string, unknown>>;

/** One for all: the keys of a database are wrapped under it. */
export const MASTER_KEY = randomBytes(32).toString('base64');

/** The whole kit with the documentation beside it, which everybody may read unless a test says otherwise. */
export async function startDocumented(
  database: TestDatabase,
  { adapter, openapi, access, before, controllers = [], imports = [], providers = [] }: DocumentedOptions,
): Promise<DocumentedApplication> {
  @Module({
    imports: [
      ZeroTrustModule.forRoot({
        database: { url: database.appUrl },
        encryption: { masterKey: MASTER_KEY },
        access: {
          permissions: definePermissions({ documents: ['read', 'write'], invoices: ['read'] }),
          ...access,
        },
        audit: { readerUrl: database.auditUrl },
        http: { requestLog: false },
        sessions: { issuer: 'https://notes.example.com', audience: 'https://notes.example.com' },
      }),
      OpenApiModule.forRoot({ title: 'Notes', version: '1.0.0', access: 'public', ...openapi }),
      ...imports,
    ],
    controllers,
    providers,
  })
  class DocumentedModule {}
  const { url, app, close } = await startApplication(DocumentedModule, {
    ...(adapter && { adapter }),
    ...(before && { before }),
  });

  return { url, app, close, document: JSON.parse(app.get(OpenApiDocument).json) as OpenAPIObject };
}

/** `GET /path` of each operation, sorted. */
export function operationsOf({ paths }: OpenAPIObject): string[] {
  return Object.entries(paths)
    .flatMap(([path, methods]) => Object.keys(methods).map((method) => `${method.toUpperCase()} ${path}`))
    .sort();
}

export function operationOf(document: OpenAPIObject, method: string, path: string): Operation {
  const item = document.paths[path] as Readonly<Record<string, Operation>> | undefined;
  const operation = item?.[method];
  if (!operation) throw new TypeError(`the document has no ${method} ${path}`);
  return operation;
}
