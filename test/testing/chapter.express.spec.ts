import type { INestApplication } from '@nestjs/common';
import { Test } from '@nestjs/testing';
import { Clock, secureApplication } from 'nestjs-zero-trust';
import {
  actingAs,
  expectEveryRouteDeclared,
  expectMatrix,
  FrozenClock,
  publishedEvents,
  ZeroTrustTestingModule,
  type ActingHeaders,
} from 'nestjs-zero-trust/testing';
import { randomUUID } from 'node:crypto';
import type { Server } from 'node:http';
import request from 'supertest';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { Documents, DocumentsModule, permissions, roles } from './chapter.module.js';

let app: INestApplication<Server>;
const clock = new FrozenClock();
const document = { id: randomUUID(), ownerId: randomUUID() };

beforeAll(async () => {
  const builder = Test.createTestingModule({
    imports: [ZeroTrustTestingModule.forRoot({ permissions, roles }), DocumentsModule],
  });
  builder.overrideProvider(Clock).useValue(clock);
  app = (await builder.compile()).createNestApplication();
  await secureApplication(app);
  await app.init();
  app.get(Documents).byId.set(document.id, document);
});
afterAll(() => app.close());

const get = (as: ActingHeaders) => request(app.getHttpServer()).get(`/documents/${document.id}`).set(as);

test('its owner reads a document, and nobody else learns that it is there', async () => {
  await get(actingAs({ roles: ['viewer'], subject: document.ownerId })).expect(200, document);
  await get(actingAs({ roles: ['editor'] })).expect(404);
  await get(actingAs()).expect(403);
  await request(app.getHttpServer()).get(`/documents/${document.id}`).expect(401);

  const [refusal] = publishedEvents(app);
  expect(refusal).toMatchObject({ action: 'access.refused', reason: 'the object rule does not hold' });
});

test('to delete asks for a second factor, and not one of an hour ago', async () => {
  const owner = { permissions: ['documents:write'], subject: document.ownerId } as const;
  const remove = (as: ActingHeaders) =>
    request(app.getHttpServer()).delete(`/documents/${document.id}`).set(as);
  const { headers } = await remove(actingAs(owner)).expect(401);
  expect(headers['www-authenticate']).toContain('acr_values="aal2", max_age="600"');

  const proved = actingAs({ ...owner, acr: 'aal2', authTime: clock.nowSeconds() });
  clock.advanceSeconds(3_600);
  await remove(proved).expect(401);
  await remove(actingAs({ ...owner, acr: 'aal2' })).expect(204);
});

test('nobody forgot a route, and these are the roles that get through', () => {
  expectEveryRouteDeclared(app, {
    publicRoutes: [{ route: 'GET /documents/formats', reason: 'Says nothing of anybody.' }],
  });
  expectMatrix(app, {
    'GET /documents/formats': 'public',
    'GET /documents/:id': ['editor', 'viewer'],
    'DELETE /documents/:id': { by: ['editor'], assurance: 'aal2/600s' },
  });
});
