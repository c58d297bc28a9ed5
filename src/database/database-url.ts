import { isIP } from 'node:net';

export interface DatabaseAddress {
  /** A host name, an address, or the directory of a Unix socket. */
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly password: string | undefined;
  readonly database: string;
  /** Loopback or a Unix socket: the bytes never leave the machine. */
  readonly local: boolean;
  readonly sslMode: string | undefined;
}

/**
 * Reads `postgres://user:password@host:port/database`; a Unix socket as `postgres://user:password@/database?host=/run/postgresql`.
 *
 * @throws TypeError that never repeats the text: it holds a password.
 */
export function parseDatabaseUrl(text: string): DatabaseAddress {
  let url: URL;
  try {
    // An empty host is what libpq writes for a Unix socket; WHATWG URLs know no user without a host.
    url = new URL(text.replace(/@(?=\/)/, '@socket.invalid'));
  } catch {
    throw new TypeError('is not a URL; write postgres://user:password@host:port/database');
  }
  if (url.protocol !== 'postgres:' && url.protocol !== 'postgresql:') {
    throw new TypeError('must begin with postgres://');
  }
  for (const name of url.searchParams.keys()) {
    if (name !== 'host' && name !== 'sslmode') {
      throw new TypeError('has a parameter that is not understood; only "host" and "sslmode" are');
    }
  }
  const named = decoded(url.hostname).replace(/^\[(.*)\]$/, '$1');
  const host = url.searchParams.get('host') ?? (named === 'socket.invalid' ? '' : named);
  const user = decoded(url.username);
  const database = decoded(url.pathname.slice(1));
  if (host === '') throw new TypeError('names no host');
  if (user === '') throw new TypeError('names no user');
  if (database === '') throw new TypeError('names no database');
  return {
    host,
    port: url.port === '' ? 5432 : Number(url.port),
    user,
    password: url.password === '' ? undefined : decoded(url.password),
    database,
    local: host.startsWith('/') || isLoopback(host),
    sslMode: url.searchParams.get('sslmode') ?? undefined,
  };
}

function decoded(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    throw new TypeError('has a % that begins no escape; write %25 for the character itself');
  }
}

function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || (isIP(host) === 4 && host.startsWith('127.'));
}
