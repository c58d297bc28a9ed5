import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { Test } from '@nestjs/testing';
import { secureApplication } from 'nestjs-zero-trust';
import {
  actingAs,
  expectEveryRouteDeclared,
  expectMatrix,
  withTestPrincipals,
  type ActingHeaders,
} from 'nestjs-zero-trust/testing';
import type { Server } from 'node:http';
import type { INestApplication } from '@nestjs/common';
import request from 'supertest';
import { AppModule } from '../../sample/src/app.module.js';
import { createTestDatabase, type TestDatabase } from '../support/database.js';
import { setEnvironment } from '../support/sample.js';

let app: INestApplication<Server>;
let database: TestDatabase;
let restore: () => void;
beforeAll(async () => {
  database = await createTestDatabase();
  restore = setEnvironment({
    DATABASE_URL: database.appUrl,
    DATABASE_AUDIT_URL: database.auditUrl,
    ZERO_TRUST_MASTER_KEY: randomBytes(32).toString('base64'),
    PUBLIC_URL: 'https://portal.example.test',
  });
  const builder = withTestPrincipals(Test.createTestingModule({ imports: [AppModule] }));
  app = (await builder.compile()).createNestApplication();
  await secureApplication(app);
  await app.init();
});
afterAll(async () => {
  await app.close();
  await database.drop();
  restore();
});

test('who writes a document finds it in their list, and nobody else does', async () => {
  const server = app.getHttpServer();
  const writer = actingAs({ roles: ['editor'] });
  const made = await request(server).post('/documents').set(writer).send({ title: 'Minutes', body: '…' });
  const { id } = made.body as { id: string };

  const list = async (as: ActingHeaders) =>
    JSON.stringify((await request(server).get('/documents').set(as).expect(200)).body);
  expect(await list(writer)).toContain(id);
  expect(await list(actingAs({ roles: ['editor'] }))).not.toContain(id);
});

test('what anybody reaches was reviewed, and documents are for these roles', () => {
  expectEveryRouteDeclared(app, { publicRoutes: 'sample/zero-trust.routes.json' });
  expectMatrix(
    app,
    {
      'GET /documents': ['editor', 'viewer'],
      'POST /documents': ['editor'],
      'GET /documents/:id': ['editor', 'viewer'],
      'PATCH /documents/:id': ['editor'],
      'DELETE /documents/:id': ['editor'],
      'POST /documents/:id/shares': ['editor'],
    },
    { under: '/documents' },
  );
});
