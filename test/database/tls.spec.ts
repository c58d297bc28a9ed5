import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Server } from 'node:net';
import { TLSSocket } from 'node:tls';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { BootError } from '../../src/core/zero-trust-error.js';
import { openDatabase } from '../../src/database/database.boot.js';
import { databaseTls } from '../../src/database/database-tls.js';
import { parseDatabaseUrl } from '../../src/database/database-url.js';
import { migrate } from '../../src/database/migrate.js';
import { createTestAuthority, type Certificate } from '../support/certificate.js';
import { createTestDatabase, type TestDatabase } from '../support/database.js';

/** PostgreSQL's SSLRequest (protocol 3.0, 55.2.11). */
const SSL_REQUEST = Buffer.from([0, 0, 0, 8, 4, 210, 22, 47]);

/** Speaks TLS towards the client as PostgreSQL does, and passes on to the real one. `undefined` refuses TLS. */
async function startFront(
  target: string,
  identity: Certificate | undefined,
): Promise<{ server: Server; url: (url: string, host: string) => string; cleartext: Buffer[] }> {
  const { hostname, port } = new URL(target);
  const cleartext: Buffer[] = [];
  const server = createServer((socket) => {
    socket.on('error', () => undefined);
    socket.once('data', (first) => {
      if (!first.equals(SSL_REQUEST)) cleartext.push(first);
      if (!first.equals(SSL_REQUEST) || !identity) {
        socket.end('N');
        return;
      }
      socket.pause();
      socket.write('S');
      const secure = new TLSSocket(socket, { isServer: true, cert: identity.certificate, key: identity.key });
      const upstream = connect(Number(port), hostname);
      for (const each of [secure, upstream]) each.on('error', () => undefined);
      secure.pipe(upstream).pipe(secure);
      secure.on('close', () => upstream.destroy());
    });
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const own = (server.address() as AddressInfo).port;
  return {
    server,
    cleartext,
    url: (url, host) => Object.assign(new URL(url), { hostname: host, port: String(own) }).href,
  };
}

let database: TestDatabase;
const authority = createTestAuthority();
const other = createTestAuthority();
beforeAll(async () => {
  database = await createTestDatabase();
});
afterAll(() => database.drop());

async function attempt(identity: Certificate | undefined, host: string, tlsCa: string): Promise<string> {
  const { server, url, cleartext } = await startFront(database.appUrl, identity);
  try {
    const opened = await openDatabase({ url: url(database.appUrl, host), tls: 'verify-full', tlsCa }, []);
    await opened.dataSource.destroy();
    return 'connected';
  } catch (error) {
    expect(error).toBeInstanceOf(BootError);
    return (error as BootError).message;
  } finally {
    expect(cleartext).toEqual([]);
    server.close();
  }
}

describe('a connection with TLS', () => {
  test('is made when the authority and the name are right, by name and by address', async () => {
    expect(await attempt(authority.issue(['localhost']), 'localhost', authority.ca)).toBe('connected');
    expect(await attempt(authority.issue(['127.0.0.1']), '127.0.0.1', authority.ca)).toBe('connected');
  });

  const lapsed = { from: new Date('2001-01-01'), to: new Date('2001-02-01') };
  test.each([
    ['another authority', other.issue(['127.0.0.1']), /cannot be reached: .*certificate/],
    ['another name', authority.issue(['db.example.test']), /cannot be reached: .*does not match/],
    [
      'localhost, asked for by address',
      authority.issue(['localhost']),
      /cannot be reached: .*does not match/,
    ],
    ['a certificate that has lapsed', authority.issue(['127.0.0.1'], lapsed), /cannot be reached: .*expired/],
    ['no TLS at all', undefined, /cannot be reached: .*does not support SSL/],
  ])('is refused before the password is sent: %s', async (_, identity, message) => {
    expect(await attempt(identity, '127.0.0.1', authority.ca)).toMatch(message);
  });

  test('is what migrate makes as well', async () => {
    const { server, url } = await startFront(database.ownerUrl, authority.issue(['127.0.0.1']));
    const ownerUrl = url(database.ownerUrl, '127.0.0.1');
    await expect(migrate({ ownerUrl, dryRun: true, tlsCa: other.ca })).rejects.toThrow(/certificate/);
    expect(await migrate({ ownerUrl, dryRun: true, tlsCa: authority.ca })).toMatchObject({ applied: [] });
    server.close();
  });
});

describe('whether TLS is used', () => {
  const local = [
    'postgres://u:p@127.0.0.1/d',
    'postgres://u:p@localhost/d',
    'postgres://u:p@[::1]/d',
    'postgres://u:p@127.8.8.8:99/d',
    'postgres://u:p@/d?host=/run/postgresql',
    'postgres://u:p@%2Frun%2Fpostgresql/d',
  ];
  const beyond = [
    'postgres://u:p@db.example.test/d',
    'postgres://u:p@10.0.0.5/d',
    'postgres://u:p@localhost.example.test/d',
    'postgres://u:p@127.example.test/d',
    'postgres://u:p@[::2]/d',
    'postgres://u:p@0.0.0.0/d',
  ];

  test.each(local)('not by default within this machine: %s', (url) => {
    expect(databaseTls(parseDatabaseUrl(url), {}, true)).toBe(false);
  });

  test.each(beyond)('always, and verified, beyond it: %s', (url) => {
    const address = parseDatabaseUrl(url);
    expect(databaseTls(address, {}, true)).toMatchObject({ rejectUnauthorized: true, host: address.host });
    expect(() => databaseTls(address, { tls: 'off' }, true)).toThrow(/in the clear/);
    expect(() => databaseTls({ ...address, sslMode: 'disable' }, {}, true)).toThrow(/in the clear/);
    expect(databaseTls(address, { tls: 'off' }, false)).toBe(false);
  });

  test.each(['require', 'prefer', 'allow', 'no-verify', 'verify-ca', ''])(
    'never unverified: sslmode=%s',
    (mode) => {
      for (const production of [true, false]) {
        expect(() =>
          databaseTls(parseDatabaseUrl(`postgres://u:p@127.0.0.1/d?sslmode=${mode}`), {}, production),
        ).toThrow(/verify-full/);
      }
    },
  );

  test('V12.3.2 NODE_TLS_REJECT_UNAUTHORIZED=0 stops the start in production', () => {
    const address = parseDatabaseUrl('postgres://u:p@db.example.test/d');
    const before = process.env.NODE_TLS_REJECT_UNAUTHORIZED;
    process.env.NODE_TLS_REJECT_UNAUTHORIZED = '0';
    try {
      expect(() => databaseTls(address, {}, true)).toThrow(/NODE_TLS_REJECT_UNAUTHORIZED=0 .* unset it/);
    } finally {
      if (before === undefined) delete process.env.NODE_TLS_REJECT_UNAUTHORIZED;
      else process.env.NODE_TLS_REJECT_UNAUTHORIZED = before;
    }
    expect(databaseTls(address, {}, true)).toMatchObject({ rejectUnauthorized: true });
  });

  test('an authority means TLS on the loopback too; a contradiction is refused', () => {
    const address = parseDatabaseUrl('postgres://u:p@127.0.0.1/d');
    expect(databaseTls(address, { tlsCa: 'PEM' }, true)).toMatchObject({ ca: 'PEM' });
    expect(() => databaseTls({ ...address, sslMode: 'disable' }, { tls: 'verify-full' }, true)).toThrow(
      /contradict/,
    );
    expect(databaseTls(parseDatabaseUrl('postgres://u:p@h/d?sslmode=verify-full'), {}, true)).toMatchObject({
      rejectUnauthorized: true,
    });
  });
});
