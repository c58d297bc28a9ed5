import dns from 'node:dns';
import { FastifyAdapter } from '@nestjs/platform-fastify';
import { Test } from '@nestjs/testing';
import type { INestApplication } from '@nestjs/common';
import type { Server } from 'node:http';
import { connect, type AddressInfo } from 'node:net';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { onFurtherServers } from '../../src/http/fastify.options.js';
import { secureApplication } from '../../src/http/secure-application.js';
import { edgeModule } from './edge.application.js';

/** Two of loopback, as `localhost` has an IPv4 and an IPv6 address on most machines. */
const ADDRESSES = ['127.0.0.1', '127.0.0.2'];
const PROTECTIVE = ['cache-control', 'content-security-policy', 'x-content-type-options', 'x-request-id'];

let app: INestApplication<Server>;
beforeAll(async () => {
  const compiled = await Test.createTestingModule({
    imports: [edgeModule({ http: { headersTimeoutMs: 500, requestTimeoutMs: 1_000 } })],
  }).compile();
  app = compiled.createNestApplication<INestApplication<Server>>(new FastifyAdapter(), { logger: false });
  await secureApplication(app);
  const lookup = dns.lookup.bind(dns) as (...given: unknown[]) => void;
  vi.spyOn(dns, 'lookup').mockImplementation((host: string, ...given: unknown[]) => {
    const done = given.at(-1) as (...answer: unknown[]) => void;
    const isAll = (given[0] as { all?: boolean }).all === true;
    if (host !== 'localhost') lookup(host, ...given);
    else if (isAll)
      done(
        null,
        ADDRESSES.map((address) => ({ address, family: 4 })),
      );
    else done(null, ADDRESSES[0], 4);
  });
  // Without a host: Fastify takes `localhost`.
  await app.listen(0);
});
afterAll(async () => {
  vi.restoreAllMocks();
  await app.close();
});

/** What comes back until the server closes, and after how many milliseconds it does. */
async function send(address: string, text: string): Promise<{ head: string; ms: number }> {
  const { port } = app.getHttpServer().address() as AddressInfo;
  const before = performance.now();
  let answer = '';
  await new Promise<void>((resolve, reject) => {
    const socket = connect({ host: address, port }, () => socket.write(text));
    socket.on('data', (chunk) => (answer += chunk.toString('latin1')));
    socket.on('close', () => {
      resolve();
    });
    socket.on('error', reject);
  });
  return { head: answer.split('\r\n\r\n', 1)[0]!.toLowerCase(), ms: performance.now() - before };
}

describe('each server that Fastify makes for localhost', () => {
  test.each(ADDRESSES)(
    'V4.2.1 on %s refuses what is no HTTP, with what protects a browser',
    async (address) => {
      for (const text of ['HELLO\r\n\r\n', 'GET /open HTTP/1.1\r\nHost: a\r\nExpect: foo\r\n\r\n']) {
        const { head } = await send(address, text);
        expect(head).toMatch(/^http\/1\.1 4(?:00|17) /);
        for (const name of PROTECTIVE) expect(head.split('\r\n').join(' ')).toContain(`${name}: `);
      }
    },
  );

  test.each(ADDRESSES)('on %s does not wait for a head that never ends', async (address) => {
    const { ms, head } = await send(address, 'GET /open HTTP/1.1\r\nHost: a\r\n');
    expect(head).toMatch(/^http\/1\.1 408 /);
    // Asked for is half a second, and it is looked at each half second.
    expect(ms).toBeLessThan(5_000);
  });

  test('is there at all in this test, and one that keeps its servers elsewhere is refused', () => {
    const instance = app.getHttpAdapter().getInstance() as { addresses(): { address: string }[] };
    expect(
      instance
        .addresses()
        .map(({ address }) => address)
        .sort(),
    ).toEqual(ADDRESSES);
    expect(() => {
      onFurtherServers({ getInstance: () => ({}) } as never, 1_000, () => undefined);
    }).toThrow('it keeps its servers elsewhere');
  });
});
