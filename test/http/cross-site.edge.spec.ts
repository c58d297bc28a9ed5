import { Controller, ForbiddenException, Post, type INestApplication } from '@nestjs/common';
import { describe, expect, test } from 'vitest';
import { Public } from '../../src/core/route-policy.js';
import { SecurityEvents } from '../../src/core/security-events.js';
import { RequestLog } from '../../src/http/request-log.js';
import { ADAPTERS } from '../support/application.js';
import { Visitor } from '../support/visitor.js';
import { edgeRefusal, startEdge } from './edge.application.js';
import { openRaw, requestOf, type RawAnswer } from './raw-client.js';

const LISTED = 'https://app.test';
const EVIL = 'https://evil.test';
const codeOf = ({ body }: RawAnswer): unknown => (body as { code?: unknown } | undefined)?.code;

describe.each(ADAPTERS)('the edge that refuses another site, on %s', (adapter) => {
  const forged = [`Origin: ${EVIL}`, 'Sec-Fetch-Site: cross-site'];

  test('a refusal that cannot be recorded is a 503, and never passes', async () => {
    const edge = await startEdge({ adapter });
    try {
      edge.app.get(SecurityEvents).subscribe(() => Promise.reject(new Error('the log is full')));
      const answer = await new Visitor(edge.port).send('POST /open', forged);
      expect([answer.status, codeOf(answer)]).toEqual([503, 'temporarily-unavailable']);
      expect(answer.text).not.toContain('the log is full');
      expect(answer.headers.get('retry-after')).not.toBeNull();
    } finally {
      await edge.close();
    }
  });

  test('a client that leaves while its refusal is recorded leaves nothing open', async () => {
    const edge = await startEdge({ adapter });
    try {
      let [begun, finish] = [(): void => undefined, (): void => undefined];
      const recording = new Promise<void>((resolve) => (begun = resolve));
      const recorded = new Promise<void>((resolve) => (finish = resolve));
      edge.app.get(SecurityEvents).subscribe(() => {
        begun();
        return recorded;
      });
      const socket = await openRaw(edge.port);
      socket.write(requestOf('POST /open', forged));
      await recording;
      socket.destroy();
      finish();
      expect((await new Visitor(edge.port).send('GET /open', [])).status).toBe(200);
    } finally {
      await edge.close();
    }
  });

  test('the event names the client that a trusted proxy names, and the answer is counted', async () => {
    const edge = await startEdge({ adapter, http: { trustedProxies: ['127.0.0.1'], requestLog: true } });
    try {
      const sources: unknown[] = [];
      edge.app.get(SecurityEvents).subscribe(({ sourceAddress }) => void sources.push(sourceAddress));
      const before = edge.app.get(RequestLog).counts['4'];
      await new Visitor(edge.port).send('POST /open', [...forged, 'X-Forwarded-For: 203.0.113.7']);
      expect(sources).toEqual(['203.0.113.7']);
      await expect.poll(() => edge.app.get(RequestLog).counts['4']).toBe(before + 1);
    } finally {
      await edge.close();
    }
  });

  test('a handler that throws Nest’s own 403, in the very words of the check, is not taken for it', async () => {
    @Controller()
    class ThrowingController {
      @Post('forbidden')
      @Public()
      forbidden(): never {
        throw new ForbiddenException('Cross-origin request detected from Sec-Fetch-Site header');
      }
    }
    const edge = await startEdge({ adapter, controllers: [ThrowingController] });
    try {
      const published: unknown[] = [];
      edge.app.get(SecurityEvents).subscribe((event) => void published.push(event));
      const answer = await new Visitor(edge.port).own('POST /forbidden');
      expect([answer.status, codeOf(answer), published]).toEqual([403, 'permission-denied', []]);
    } finally {
      await edge.close();
    }
  });

  test.each<[string, Parameters<INestApplication['enableCors']>]>([
    ['every origin with credentials', [{ origin: true, credentials: true }]],
    ['every origin', []],
    ['one more', [{ origin: 'https://more.test' }]],
  ])(
    'WEB-07 an application that itself allows %s does not start, with origins in the options or without',
    async (_, given) => {
      for (const corsOrigins of [[], [LISTED]])
        expect(
          await edgeRefusal({
            adapter,
            http: { corsOrigins },
            before: (app) => {
              app.enableCors(...given);
            },
          }),
        ).toContain(
          'the application enables CORS itself: remove app.enableCors and the option cors, and name each origin in corsOrigins',
        );
    },
  );
});
