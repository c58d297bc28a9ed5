// The child's side of every server: an application on a free port, and answers to what the benchmark asks.
import 'reflect-metadata';
import { Session } from 'node:inspector/promises';
import { NestFactory } from '@nestjs/core';

export { decorate } from './decorate.mjs';

export const settings = JSON.parse(process.env.BENCH_SETTINGS);

/** What the protected route answers, everywhere. */
export const ANSWER = { items: [{ id: 'b6a5d7c4', title: 'constant' }], next: null };

export async function createApplication(module) {
  const options = { logger: ['error', 'warn'], abortOnError: false };
  if (settings.adapter === 'express') return NestFactory.create(module, options);
  const { FastifyAdapter } = await import('@nestjs/platform-fastify');
  return NestFactory.create(module, new FastifyAdapter(), options);
}

export async function serve(app) {
  await app.listen(0, '127.0.0.1');
  const profiler = new Session();
  profiler.connect();
  answerQuestions({
    cpu: () => process.cpuUsage(),
    profile: async () => {
      await profiler.post('Profiler.enable');
      await profiler.post('Profiler.setSamplingInterval', { interval: 200 });
      await profiler.post('Profiler.start');
      return {};
    },
    profiled: () => profiler.post('Profiler.stop'),
  });
  const { port } = app.getHttpServer().address();
  process.send({ url: `http://127.0.0.1:${port}/documents` });
}

/** Answers by IPC; when the benchmark is gone, so is the server. */
export function answerQuestions({ cpu, ...others }) {
  const questions = {
    cpu: () => {
      const { user, system } = cpu();
      return { microseconds: user + system };
    },
    ...others,
  };
  process.on('message', async (question) => {
    process.send(await questions[question]());
  });
  process.on('disconnect', () => process.exit());
}
