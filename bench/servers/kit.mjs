// The kit, by its package name, as an application would use it: whole, or one room after the other.
import { Controller, Get, Module } from '@nestjs/common';
import {
  AccessModule,
  AuditModule,
  Authenticator,
  DatabaseModule,
  EncryptionModule,
  HttpModule,
  PASSED,
  Pipeline,
  PipelineModule,
  RequirePermission,
  secureApplication,
  SessionsModule,
  ThrottlingModule,
  ZeroTrustModule,
} from 'nestjs-zero-trust';
import { kitOptions } from './kit-options.mjs';
import { ANSWER, createApplication, decorate, serve, settings } from './serve.mjs';

class DocumentsController {
  list() {
    return ANSWER;
  }
}
decorate(DocumentsController, {
  on: [Controller('documents')],
  method: 'list',
  methodOn: [Get(), RequirePermission('documents:read')],
});

const options = kitOptions(settings);
const rooms = settings.rooms && new Set(settings.rooms);
const needsDatabase = rooms?.has('sessions') || rooms?.has('access');

/** Stands in for a room that is left out, so that what it costs is not in the figure. */
class StandIns {
  constructor(pipeline) {
    const principal = { kind: 'account', subject: '018f0000-0000-7000-8000-000000000000' };
    class Anybody extends Authenticator {
      authenticate() {
        return principal;
      }
    }
    if (!rooms.has('sessions')) pipeline.useAuthenticator(new Anybody());
    if (!rooms.has('access')) pipeline.register({ name: 'authorize', judge: () => PASSED });
  }
}
decorate(StandIns, { on: [Module({})], inject: [Pipeline] });

const imports = rooms
  ? [
      PipelineModule,
      needsDatabase && DatabaseModule.forRoot(options.database),
      needsDatabase && EncryptionModule.forRoot(options.encryption),
      needsDatabase && AuditModule.forRoot(options.audit),
      rooms.has('http') && HttpModule.forRoot(options.http),
      rooms.has('throttler') && ThrottlingModule.forRoot(options.throttler),
      rooms.has('sessions') && SessionsModule.forRoot(options.sessions),
      rooms.has('access') && AccessModule.forRoot(options.access),
      StandIns,
    ].filter(Boolean)
  : [ZeroTrustModule.forRoot(options)];

class AppModule {}
decorate(AppModule, { on: [Module({ imports, controllers: [DocumentsController] })] });

const app = await createApplication(AppModule);
if (!rooms || rooms.has('http')) await secureApplication(app);
await serve(app);
