import { once } from 'node:events';
import { createServer, type AddressInfo, type Server } from 'node:net';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { isDatabaseUnavailable } from '../../src/database/database.errors.js';
import { HangUpClient } from '../../src/database/postgres-client.js';

const message = (type: string, body: Buffer): Buffer => {
  const length = Buffer.alloc(4);
  length.writeInt32BE(body.length + 4);
  return Buffer.concat([Buffer.from(type), length, body]);
};
const AUTHENTICATION_OK = message('R', Buffer.alloc(4));
const READY_FOR_QUERY = message('Z', Buffer.from('I'));
const SHUTTING_DOWN = message(
  'E',
  Buffer.from('SFATAL\0VFATAL\0C57P01\0Mterminating connection due to administrator command\0\0'),
);

/** As a PostgreSQL that is shut down while somebody connects: it greets and says good-bye in one piece. */
describe('a backend that is ended in the instant in which its connection is handed over', () => {
  let server: Server;
  let port: number;
  beforeAll(async () => {
    server = createServer((socket) => {
      socket.on('error', () => undefined);
      socket.once('data', () =>
        socket.end(Buffer.concat([AUTHENTICATION_OK, READY_FOR_QUERY, SHUTTING_DOWN])),
      );
    }).listen(0, '127.0.0.1');
    await once(server, 'listening');
    ({ port } = server.address() as AddressInfo);
  });
  afterAll(() => server.close());

  test('FLT-03 is an outage for whoever borrows it, and not the end of the process', async () => {
    const pool = new pg.Pool({ Client: HangUpClient, host: '127.0.0.1', port, user: 'app', database: 'db' });
    pool.on('error', () => undefined);
    const uncaught: unknown[] = [];
    const note = (error: unknown): void => void uncaught.push(error);
    const others = process.listeners('uncaughtException');
    process.removeAllListeners('uncaughtException').on('uncaughtException', note);
    try {
      const client = await pool.connect();
      const asked = await client.query('SELECT 1').catch((error: unknown) => error);
      client.release();
      expect(isDatabaseUnavailable(asked)).toBe(true);
      await pool.end();
      expect(uncaught).toEqual([]);
    } finally {
      process.removeListener('uncaughtException', note);
      for (const each of others) process.on('uncaughtException', each);
    }
  });
});
