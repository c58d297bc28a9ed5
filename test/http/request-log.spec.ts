import * as fc from 'fast-check';
import { EventEmitter } from 'node:events';
import type { ServerResponse } from 'node:http';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { RequestContext } from '../../src/core/request-context.js';
import { RequestLog } from '../../src/http/request-log.js';
import { FrozenClock } from '../throttler/frozen-clock.js';

const answer = (statusCode: number, writableFinished: boolean): ServerResponse =>
  Object.assign(new EventEmitter(), { statusCode, writableFinished }) as unknown as ServerResponse;

/** What the log writes while `work` runs, line by line. */
function linesOf(work: (log: RequestLog) => void): unknown[] {
  const chunks: Buffer[] = [];
  const write = vi.spyOn(process.stdout, 'write').mockImplementation((chunk) => {
    // As a pipe would keep it, until somebody reads.
    chunks.push(typeof chunk === 'string' ? Buffer.from(chunk) : (chunk as Buffer));
    return true;
  });
  const log = new RequestLog(new FrozenClock());
  work(log);
  log.flush();
  write.mockRestore();
  return Buffer.concat(chunks)
    .toString()
    .split('\n')
    .slice(0, -1)
    .map((line): unknown => JSON.parse(line));
}

describe('the log of requests', () => {
  afterEach(() => {
    vi.restoreAllMocks();
  });

  test('whatever a method, a handler or a subject is called, one answer is one line of JSON that says it', () => {
    const word = fc.string({ minLength: 1 });
    fc.assert(
      fc.property(word, word, word, (method, handler, subject) => {
        const context = new RequestContext({ transport: 'http', receivedAtMs: 0, method });
        context.handler = handler;
        context.authenticateAs({ kind: 'account', subject });
        const lines = linesOf((log) => {
          const response = answer(200, true);
          log.watch(context, response);
          response.emit('close');
        });
        expect(lines).toEqual([expect.objectContaining({ request: context.id, method, handler, subject })]);
      }),
    );
  });

  test('many answers at once are lines in their order, also of names that fill what is sent together', () => {
    const subjects = Array.from({ length: 2_000 }, (_, at) => {
      const letter = at % 2 === 0 ? 'a' : '€';
      return `${at}-${letter.repeat(at % 500 === 499 ? 30_000 : at % 50)}`;
    });
    const lines = linesOf((log) => {
      for (const subject of subjects) {
        const context = new RequestContext({ transport: 'http', receivedAtMs: 0, method: 'GET' });
        context.authenticateAs({ kind: 'account', subject });
        const response = answer(200, true);
        log.watch(context, response);
        response.emit('close');
      }
    });
    expect(lines.map((line) => (line as { subject: string }).subject)).toEqual(subjects);
  });

  test('a status that is no number does not begin a line of its own', () => {
    const lines = linesOf((log) => {
      for (const status of ['200\n{"forged":1}', Number.NaN, '204', undefined]) {
        const response = answer(status as number, false);
        log.watch(new RequestContext({ transport: 'http', receivedAtMs: 0, method: 'GET' }), response);
        response.emit('close');
      }
    });
    expect(lines.map((line) => (line as { status: unknown }).status)).toEqual([0, 0, 204, 0]);
  });

  test('each answer is counted and written once, by the class of its status, with what it was of', () => {
    const statuses = [200, 204, 302, 404, 503];
    let counts: unknown;
    const lines = linesOf((log) => {
      for (const status of [...statuses, 999]) {
        const response = answer(status, status !== 404);
        log.watch(new RequestContext({ transport: 'http', receivedAtMs: 0, method: 'GET' }), response);
        response.emit('close');
        response.emit('close');
      }
      counts = log.counts;
    });
    expect(counts).toEqual({ '1': 0, '2': 2, '3': 1, '4': 1, '5': 1 });
    expect(lines).toHaveLength(6);
    expect(lines[3]).toMatchObject({ status: 404, handler: null, subject: null, aborted: true });
    expect(lines[0]).not.toHaveProperty('aborted');
  });
});
