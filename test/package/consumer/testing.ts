// A test of the fresh application, without a test runner: whoever has none of ours sees the same types.
import 'reflect-metadata';
import { Controller, Get, Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { RequirePermission, secureApplication } from 'nestjs-zero-trust';
import {
  actingAs,
  expectEveryRouteDeclared,
  expectMatrix,
  publishedEvents,
  withTestPrincipals,
  ZeroTrustTestingModule,
  type Acting,
  type ExpectedMatrix,
  type ProviderOverrides,
} from 'nestjs-zero-trust/testing';

@Controller('figures')
class FiguresController {
  @Get()
  @RequirePermission('reports:read')
  list() {
    return { figures: [] };
  }
}

const options = {
  permissions: { reports: ['read'] },
  roles: { reader: { permissions: ['reports:read'] } },
} as const;

@Module({ imports: [ZeroTrustTestingModule.forRoot(options)], controllers: [FiguresController] })
class FiguresModule {}

const reader: Acting = { permissions: ['reports:read'], acr: 'aal2' };
const matrix: ExpectedMatrix = { 'GET /figures': ['reader'] };

/** Whatever has this method will do; `@nestjs/testing` need not be installed. */
export const overridden = <Builder extends ProviderOverrides>(builder: Builder): Builder =>
  withTestPrincipals(builder);

const app = await NestFactory.create(FiguresModule, { abortOnError: false, logger: false });
await secureApplication(app);
await app.listen(0, '127.0.0.1');
expectEveryRouteDeclared(app, { publicRoutes: [] });
expectMatrix(app, matrix);
const asked = async (headers: Record<string, string>): Promise<number> =>
  (await fetch(`${await app.getUrl()}/figures`, { headers })).status;
const statuses = [
  await asked(actingAs(reader)),
  await asked(actingAs({ roles: ['reader'] })),
  await asked(actingAs()),
];
console.log(JSON.stringify({ statuses, events: publishedEvents(app).map(({ action }) => action) }));
await app.close();
