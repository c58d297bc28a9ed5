// Prepares what the kit's servers look up: a role, grants of it, and live sessions. Not measured.
import { Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import {
  GrantsService,
  RolesService,
  SessionsService,
  SYSTEM_PRINCIPAL,
  UnitOfWork,
  uuidV7,
  ZeroTrustModule,
} from 'nestjs-zero-trust';
import { kitOptions } from './kit-options.mjs';
import { answerQuestions, decorate, settings } from './serve.mjs';

class AppModule {}
decorate(AppModule, { on: [Module({ imports: [ZeroTrustModule.forRoot(kitOptions(settings))] })] });
const app = await NestFactory.createApplicationContext(AppModule, { logger: ['error'], abortOnError: false });
const { unitOfWork, roles, grants, sessions } = {
  unitOfWork: app.get(UnitOfWork),
  roles: app.get(RolesService),
  grants: app.get(GrantsService),
  sessions: app.get(SessionsService),
};

for (const name of ['reader', 'writer']) {
  await roles.put(name, kitOptions(settings).access.roles[name], SYSTEM_PRINCIPAL);
}
const subjects = Array.from({ length: settings.sessions }, () => uuidV7(Date.now()));
const stranger = uuidV7(Date.now());
for (const subject of subjects) {
  await grants.grant({ subject, role: 'reader', reason: 'benchmark' }, SYSTEM_PRINCIPAL);
}
await grants.grant({ subject: stranger, role: 'writer', reason: 'benchmark' }, SYSTEM_PRINCIPAL);

/** Ends the sessions of before, so that there are never more live ones than asked for, and opens new ones. */
async function open() {
  const tokens = [];
  for (const subject of [...subjects, stranger]) {
    tokens.push(
      await unitOfWork.run(async () => {
        await sessions.endAllOf(subject, 'logout');
        const opening = { subject, acr: 'aal1', amr: ['pwd'], delivery: 'token' };
        return (await sessions.open(opening)).accessToken;
      }),
    );
  }
  return { stranger: tokens.pop(), tokens };
}

answerQuestions({ cpu: () => process.cpuUsage(), open });
process.send({ url: undefined });
