import type { Server } from 'node:http';
import type { Socket } from 'node:net';
import { randomUUID } from 'node:crypto';

const PROBLEMS: Readonly<Record<string, readonly [status: string, code: string]>> = {
  HPE_HEADER_OVERFLOW: ['431 Request Header Fields Too Large', 'headers-too-large'],
  ERR_HTTP_REQUEST_TIMEOUT: ['408 Request Timeout', 'invalid-request'],
};

/**
 * Answers what is no HTTP at all (smuggling shapes, oversized headers, requests that never end), in the shape of
 * every other error, and closes: whatever follows on that connection cannot be trusted (ASVS 4.2.1).
 */
export function answerClientErrors(server: Server): void {
  // Fastify has a listener of its own, with an answer of its own.
  server.removeAllListeners('clientError');
  server.on('clientError', (error: NodeJS.ErrnoException, socket: Socket) => {
    if (error.code === 'ECONNRESET' || !socket.writable) {
      socket.destroy();
      return;
    }
    const [status, code] = PROBLEMS[error.code ?? ''] ?? ['400 Bad Request', 'invalid-request'];
    const id = randomUUID();
    const body = JSON.stringify({
      type: `urn:zero-trust:error:${code}`,
      title: status.slice(4),
      status: Number(status.slice(0, 3)),
      code,
      instance: `urn:uuid:${id}`,
    });
    socket.end(
      `HTTP/1.1 ${status}\r\nContent-Type: application/problem+json; charset=utf-8\r\nContent-Length: ${Buffer.byteLength(body)}\r\n` +
        `X-Request-Id: ${id}\r\nX-Content-Type-Options: nosniff\r\nCache-Control: no-store\r\nConnection: close\r\n\r\n${body}`,
    );
  });
}
