// A replica in a process of its own, for what only a process can show: races between two, and kill -9. Sessions and
// the edge, nothing else; started by `refresh-process.ts`, on what was built.
import 'reflect-metadata';
import { Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import {
  AuditModule,
  DatabaseModule,
  EncryptionModule,
  HttpModule,
  PASSED,
  Pipeline,
  PipelineModule,
  secureApplication,
  SessionsModule,
} from '../../../dist/index.js';
import { RefreshStore } from '../../../dist/sessions/refresh/refresh.store.js';

const { appUrl, auditUrl, masterKey, sessions } = JSON.parse(process.env.REFRESH_SERVER);

// `die`: the next rotation is the last thing that this process does. Committed, and never answered.
let dying = false;
process.on('message', () => (dying = true));
const { rotate } = RefreshStore.prototype;
RefreshStore.prototype.rotate = async function (presented) {
  const rotated = await rotate.call(this, presented);
  if (dying && rotated) process.kill(process.pid, 'SIGKILL');
  return rotated;
};
process.on('disconnect', () => process.exit());

class ServerModule {
  constructor(pipeline) {
    pipeline.register({ name: 'authorize', judge: () => PASSED });
  }
}
Reflect.defineMetadata('design:paramtypes', [Pipeline], ServerModule);
Module({
  imports: [
    PipelineModule,
    DatabaseModule.forRoot({ url: appUrl }),
    EncryptionModule.forRoot({ masterKey }),
    HttpModule.forRoot({ requestLog: false }),
    AuditModule.forRoot({ readerUrl: auditUrl }),
    SessionsModule.forRoot(sessions),
  ],
})(ServerModule);

const app = await NestFactory.create(ServerModule, { logger: ['error'] });
await secureApplication(app);
await app.listen(0, '127.0.0.1');
process.send({ port: app.getHttpServer().address().port });
