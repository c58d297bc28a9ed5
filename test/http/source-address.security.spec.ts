import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { FastifyAdapter } from '@nestjs/platform-fastify';
import { Test } from '@nestjs/testing';
import { secureApplication } from '../../src/http/secure-application.js';
import { ADAPTERS, type RunningApplication } from '../support/application.js';
import { edgeModule, startEdge } from './edge.application.js';
import { requestOf, sendRaw } from './raw-client.js';

const SPOOFS = [
  'X-Forwarded-For: 198.51.100.7',
  'Forwarded: for=198.51.100.7',
  'X-Real-IP: 198.51.100.7',
  'X-Client-IP: 198.51.100.7',
  'CF-Connecting-IP: 198.51.100.7',
  'True-Client-IP: 198.51.100.7',
  'X-Cluster-Client-IP: 198.51.100.7',
  'Fastly-Client-IP: 198.51.100.7',
  'X-Forwarded: for=198.51.100.7',
];

async function sourceOf(app: RunningApplication, fields: readonly string[]): Promise<unknown> {
  const { answers } = await sendRaw(app.port, requestOf('GET /source', fields));
  return (answers[0]?.body as { source?: unknown } | undefined)?.source;
}

describe.each(ADAPTERS)('who is calling over %s', (adapter) => {
  let direct: RunningApplication;
  let behind: RunningApplication;
  let elsewhere: RunningApplication;
  beforeAll(async () => {
    direct = await startEdge({ adapter });
    behind = await startEdge({ adapter, http: { trustedProxies: ['127.0.0.1', '10.0.0.0/8'] } });
    elsewhere = await startEdge({ adapter, http: { trustedProxies: ['192.0.2.1'] } });
  });
  afterAll(() => Promise.all([direct.close(), behind.close(), elsewhere.close()]));

  test.each(SPOOFS)('THR-01 without a trusted proxy %s names nobody', async (field) => {
    expect(await sourceOf(direct, [field])).toBe('127.0.0.1');
  });

  test('THR-01 a peer that is no trusted proxy is itself, whatever it forwards', async () => {
    expect(await sourceOf(elsewhere, ['X-Forwarded-For: 198.51.100.7'])).toBe('127.0.0.1');
  });

  test('a trusted proxy names the caller, and what the caller forwarded itself is not believed', async () => {
    expect(await sourceOf(behind, ['X-Forwarded-For: 198.51.100.7'])).toBe('198.51.100.7');
    expect(await sourceOf(behind, ['X-Forwarded-For: 203.0.113.9, 198.51.100.7'])).toBe('198.51.100.7');
    expect(await sourceOf(behind, ['X-Forwarded-For: 203.0.113.9', 'X-Forwarded-For: 198.51.100.7'])).toBe(
      '198.51.100.7',
    );
    expect(await sourceOf(behind, ['X-Forwarded-For: 203.0.113.9, 198.51.100.7, 10.1.1.1'])).toBe(
      '198.51.100.7',
    );
    expect(await sourceOf(behind, ['X-Forwarded-For: ::ffff:198.51.100.7'])).toBe('198.51.100.7');
    for (const field of SPOOFS.slice(1)) expect(await sourceOf(behind, [field])).toBe('127.0.0.1');
  });

  test.each([
    '',
    'unknown',
    '_hidden',
    'x'.repeat(500),
    '<script>',
    "198.51.100.7' OR 1=1",
    '198.51.100.7:4711',
  ])('what a proxy forwards that is no address (%j) is not taken for one', async (forwarded) => {
    const { answers } = await sendRaw(
      behind.port,
      requestOf('GET /source', [`X-Forwarded-For: ${forwarded}`]),
    );
    expect(answers[0]?.status).toBe(200);
    expect(answers[0]?.body).toEqual({ source: '127.0.0.1' });
  });

  test('THR-01 what a proxy forwards that is no address makes no source of its own for the limits', async () => {
    const limited = await startEdge({
      adapter,
      http: { trustedProxies: ['127.0.0.1'] },
      throttler: { sourceRequests: 2 },
    });
    try {
      const statuses: unknown[] = [];
      for (const forwarded of ['a', 'b', 'c', '198.51.100.7:1', '198.51.100.7:2']) {
        const { answers } = await sendRaw(
          limited.port,
          requestOf('GET /source', [`X-Forwarded-For: ${forwarded}`]),
        );
        statuses.push(answers[0]?.status);
      }
      expect(statuses).toEqual([200, 200, 429, 429, 429]);
    } finally {
      await limited.close();
    }
  });

  test('headers that name another host or scheme change nothing in how a request is judged', async () => {
    for (const field of [
      'X-Forwarded-Host: evil.example',
      'X-Forwarded-Proto: gopher',
      'X-Forwarded-Port: 0',
    ]) {
      const { answers } = await sendRaw(behind.port, requestOf('GET /open', [field]));
      expect([field, answers[0]?.status]).toEqual([field, 200]);
    }
  });
});

test('THR-01 a Fastify adapter that trusts what HttpModule does not, or the other way round, does not start', async () => {
  const startWith = async (trustProxy: unknown, trustedProxies: string[]): Promise<void> => {
    const compiled = await Test.createTestingModule({
      imports: [edgeModule({ http: { trustedProxies } })],
    }).compile();
    const app = compiled.createNestApplication(new FastifyAdapter({ trustProxy: trustProxy as boolean }), {
      logger: false,
    });
    try {
      await secureApplication(app);
    } finally {
      await app.close();
    }
  };
  await expect(startWith(true, [])).rejects.toThrow('trustedProxies and the adapter disagree');
  await expect(startWith(() => true, [])).rejects.toThrow('trustedProxies and the adapter disagree');
  await expect(startWith(1, [])).rejects.toThrow('trustedProxies and the adapter disagree');
  await expect(startWith(['10.0.0.0/8'], ['192.0.2.1'])).rejects.toThrow(
    'trustedProxies and the adapter disagree',
  );
  await expect(startWith(false, ['192.0.2.1'])).rejects.toThrow('trustedProxies and the adapter disagree');
});
