import type { INestApplication, Type } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { secureApplication } from 'nestjs-zero-trust';
import { AppModule } from './app.module.js';
import { ServiceLogger } from './service.logger.js';

/** Builds the service and checks it; nothing listens yet. */
export async function createApplication(root: Type = AppModule): Promise<INestApplication> {
  const app = await NestFactory.create(root, { abortOnError: false, logger: new ServiceLogger() });
  await secureApplication(app);
  return app;
}

/** The one line that an operator needs when the service could not start. */
export function explainFailedStart(failure: unknown): string {
  if (failure instanceof Error && (failure as NodeJS.ErrnoException).code === 'EADDRINUSE') {
    return 'The port is in use: stop what listens there, or set PORT.';
  }
  return failure instanceof Error ? failure.message : String(failure);
}
