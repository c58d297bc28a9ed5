import { randomUUID } from 'node:crypto';
import { STATUS_CODES, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { ErrorCode } from '../core/zero-trust-error.js';
import { PROTECTIVE_HEADERS } from './protective-headers.js';
import { requestIdOf } from './request-id.js';

const PROBLEMS: Readonly<Record<string, readonly [status: number, code: ErrorCode]>> = {
  HPE_HEADER_OVERFLOW: [431, 'headers-too-large'],
  HPE_CHUNK_EXTENSIONS_OVERFLOW: [413, 'payload-too-large'],
  ERR_HTTP_REQUEST_TIMEOUT: [408, 'invalid-request'],
};

/**
 * What no adapter sees: smuggling shapes, oversized headers, requests that never end, expectations that nobody
 * meets. It is answered in the shape of every other error, and the connection closes: whatever follows on it cannot
 * be trusted (ASVS 4.2.1).
 */
export function answerClientErrors(server: Server): void {
  // Fastify has a listener of its own, with an answer of its own.
  server.removeAllListeners('clientError');
  server.on('clientError', (error: NodeJS.ErrnoException, socket: Socket) => {
    // In the middle of an answer a second one would be taken for a part of it.
    const { _httpMessage: begun } = socket as { _httpMessage?: ServerResponse | null };
    if (error.code === 'ECONNRESET' || !socket.writable || begun?.headersSent === true) {
      socket.destroy();
      return;
    }
    const [status, code] = PROBLEMS[error.code ?? ''] ?? [400, 'invalid-request' as const];
    const { headers, body } = answerOf(status, code, randomUUID());
    const fields = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
    socket.end(`HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ''}\r\n${fields.join('')}\r\n${body}`);
  });
  server.on('checkExpectation', (request: IncomingMessage, response: ServerResponse) => {
    const { headers, body } = answerOf(417, 'invalid-request', requestIdOf(request));
    response.writeHead(417, headers).end(body);
  });
}

function answerOf(
  status: number,
  code: ErrorCode,
  id: string,
): { headers: Record<string, string>; body: string } {
  const body = JSON.stringify({
    type: `urn:zero-trust:error:${code}`,
    title: STATUS_CODES[status],
    status,
    code,
    instance: `urn:uuid:${id}`,
  });
  const headers = {
    ...PROTECTIVE_HEADERS,
    'Content-Type': 'application/problem+json; charset=utf-8',
    'Content-Length': String(Buffer.byteLength(body)),
    'X-Request-Id': id,
    Connection: 'close',
  };
  return { headers, body };
}
