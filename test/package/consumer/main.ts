// A fresh application that knows the kit only as an installed package. `readme.ts` is the README's own example.
import 'reflect-metadata';
import { NestFactory } from '@nestjs/core';
import { definePermissions, secureApplication } from 'nestjs-zero-trust';
import { AppModule } from './readme.js';

const permissions = definePermissions({ reports: ['read'] });

declare module 'nestjs-zero-trust' {
  interface Register {
    permissions: typeof permissions;
  }
}

const app = await NestFactory.create(AppModule, { abortOnError: false });
await secureApplication(app);
await app.listen(0, '127.0.0.1');
console.log(`listening on ${await app.getUrl()}`);
process.on('SIGTERM', () => void app.close().then(() => process.exit(0)));
