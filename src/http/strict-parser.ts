import type { Server } from 'node:http';

const FLAG = '--insecure-http-parser';

/**
 * Node's lenient parser reads requests that a proxy before it reads in another way (ASVS 4.2.1). It can be asked for on
 * the command line, by the environment, or where an adapter makes its server.
 *
 * @throws TypeError that says where to take it out.
 */
export function assertStrictParser(
  server: Server,
  flags: readonly string[] = [...process.execArgv, ...(process.env.NODE_OPTIONS ?? '').split(/\s+/)],
): void {
  const { insecureHTTPParser } = server as { insecureHTTPParser?: boolean };
  if (!flags.includes(FLAG) && insecureHTTPParser !== true) return;
  throw new TypeError(
    `HttpModule refuses to start: the insecure HTTP parser of Node.js is on; leave ${FLAG} and insecureHTTPParser out`,
  );
}
