import { FastifyAdapter, type NestFastifyApplication } from '@nestjs/platform-fastify';
import { Test } from '@nestjs/testing';
import { secureApplication } from 'nestjs-zero-trust';
import { actingAs, ZeroTrustTestingModule } from 'nestjs-zero-trust/testing';
import { expect, test } from 'vitest';
import { DocumentsModule, permissions, roles } from './chapter.module.js';

test('the same on Fastify, by inject', async () => {
  const builder = Test.createTestingModule({
    imports: [ZeroTrustTestingModule.forRoot({ permissions, roles }), DocumentsModule],
  });
  const module = await builder.compile();
  const app = module.createNestApplication<NestFastifyApplication>(new FastifyAdapter());
  await secureApplication(app);
  await app.init();
  try {
    const url = '/documents/11111111-1111-4111-8111-111111111111';
    const { statusCode } = await app.inject({ url, headers: actingAs({ roles: ['viewer'] }) });
    expect(statusCode).toBe(404);
  } finally {
    await app.close();
  }
});
