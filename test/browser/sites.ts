import { request as forward, type IncomingMessage, type ServerResponse } from 'node:http';
import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import { createTestAuthority } from '../support/certificate.js';

/** What a browser sent to the service, and what it was answered. */
export interface Seen {
  readonly line: string;
  readonly site: string | undefined;
  readonly cookies: readonly string[];
  readonly status: number;
}

const NAMES = ['portal.example.test', 'app.example.test', 'blog.example.test', 'partner.test', 'evil.test'];
const PAGE = '<!doctype html><title>page</title>';

/**
 * HTTPS under names of their own: the service behind a proxy that also serves its front end (`/page`), and a server on
 * which everybody else has a page.
 */
export class Sites {
  readonly seen: Seen[] = [];

  private constructor(
    private readonly front: Server,
    private readonly others: Server,
  ) {}

  /** @param servicePort where the service will listen; asked for each request. */
  static async open(servicePort: () => number): Promise<Sites> {
    const { certificate: cert, key } = createTestAuthority().issue(NAMES);
    const front = createServer({ cert, key }, (request, response) => {
      sites.#pass(request, response, servicePort());
    });
    const others = createServer({ cert, key }, servePage);
    const sites = new Sites(front, others);
    for (const server of [front, others])
      await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    return sites;
  }

  get portal(): string {
    return `https://portal.example.test:${portOf(this.front)}`;
  }

  /** The origin of somebody else. */
  other(name: 'app.example.test' | 'blog.example.test' | 'partner.test' | 'evil.test'): string {
    return `https://${name}:${portOf(this.others)}`;
  }

  async close(): Promise<void> {
    for (const server of [this.front, this.others]) {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    }
  }

  #pass(request: IncomingMessage, response: ServerResponse, port: number): void {
    if (request.url === '/page') {
      servePage(request, response);
      return;
    }
    const { method, url: path, headers } = request;
    const passed = forward({ host: '127.0.0.1', port, method, path, headers }, (answer) => {
      this.seen.push({
        line: `${method ?? ''} ${path ?? ''}`,
        site: headers['sec-fetch-site'],
        cookies: (headers.cookie ?? '').match(/__Host-\w+(?==)/g) ?? [],
        status: answer.statusCode ?? 0,
      });
      response.writeHead(answer.statusCode ?? 502, answer.rawHeaders);
      answer.pipe(response);
    });
    passed.on('error', () => response.destroy());
    request.pipe(passed);
  }
}

function servePage(_request: IncomingMessage, response: ServerResponse): void {
  response.writeHead(200, { 'content-type': 'text/html' }).end(PAGE);
}

const portOf = (server: Server): number => (server.address() as AddressInfo).port;
