// Prepares what the kit's servers look up: a role, grants of it, and live sessions. Not measured.
import { Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import {
  GrantsService,
  RolesService,
  SessionsService,
  SYSTEM_PRINCIPAL,
  UnitOfWork,
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
const { subjects, stranger } = settings;
for (const subject of subjects) {
  await grants.grant({ subject, role: 'reader', reason: 'benchmark' }, SYSTEM_PRINCIPAL);
}
await grants.grant({ subject: stranger, role: 'writer', reason: 'benchmark' }, SYSTEM_PRINCIPAL);

/** Opens one for each subject. Those of one delivery are ended first, so that there are never more than asked for. */
const opened = new Map();
async function open(delivery) {
  const tokens = [];
  for (const subject of [...subjects, stranger]) {
    tokens.push(
      await unitOfWork.run(async () => {
        const before = opened.get(`${delivery} ${subject}`);
        if (before) await sessions.end(before, 'logout');
        const session = await sessions.open({ subject, acr: 'aal1', amr: ['pwd'], delivery });
        opened.set(`${delivery} ${subject}`, session.sessionId);
        return session.accessToken;
      }),
    );
  }
  return { stranger: tokens.pop(), tokens };
}

answerQuestions({
  cpu: () => process.cpuUsage(),
  open: () => open('token'),
  openCookies: () => open('cookie'),
});
process.send({ url: undefined });
