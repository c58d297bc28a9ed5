import { connect, type Socket } from 'node:net';

/** One answer as it stood on the wire. */
export interface RawAnswer {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
  // eslint-disable-next-line @typescript-eslint/no-explicit-any -- a test asserts what is in it
  readonly body: any;
}

export interface RawExchange {
  readonly answers: readonly RawAnswer[];
  /** Whether the server ended the connection. */
  readonly closed: boolean;
}

export interface RawOptions {
  /** Whether the request is a HEAD, whose answers have no body. */
  readonly head?: boolean;
  /** Answers after which the connection is left. @default as many as come until the server closes */
  readonly answers?: number;
  /** Milliseconds after which a server that neither answers nor closes is left: the connection hung. */
  readonly patienceMs?: number;
}

/** Sends bytes exactly as they are and reads what comes back: for shapes that no HTTP client would send. */
export function sendRaw(
  port: number,
  bytes: string | Buffer | readonly (string | Buffer)[],
  options: RawOptions = {},
): Promise<RawExchange> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    const received: Buffer[] = [];
    let closed = false;
    const finish = (): void => {
      clearTimeout(timer);
      socket.destroy();
      resolve({ answers: answersIn(Buffer.concat(received), options.head ?? false), closed });
    };
    const timer = setTimeout(finish, options.patienceMs ?? 10_000);
    socket.on('data', (chunk: Buffer) => {
      received.push(chunk);
      if (options.answers === undefined) return;
      if (answersIn(Buffer.concat(received), options.head ?? false).length >= options.answers) finish();
    });
    socket.on('error', () => undefined);
    socket.on('close', () => {
      closed = true;
      finish();
    });
    const parts = typeof bytes === 'string' || Buffer.isBuffer(bytes) ? [bytes] : bytes;
    socket.on('connect', () => {
      for (const part of parts) socket.write(part, typeof part === 'string' ? 'latin1' : undefined);
    });
  });
}

/** A connection on which a test writes as it likes. */
export function openRaw(port: number): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1', () => {
      resolve(socket);
    });
    socket.once('error', reject);
  });
}

/** A request line with its header fields, `Host` and `Connection: close` included. */
export function requestOf(line: string, fields: readonly string[] = [], body = ''): string {
  return [`${line} HTTP/1.1`, 'Host: localhost', 'Connection: close', ...fields, '', body].join('\r\n');
}

function answersIn(bytes: Buffer, head: boolean): RawAnswer[] {
  const answers: RawAnswer[] = [];
  let rest = bytes;
  for (;;) {
    const end = rest.indexOf('\r\n\r\n');
    if (end < 0) return answers;
    const [line = '', ...fields] = rest.subarray(0, end).toString('latin1').split('\r\n');
    const status = Number(/^HTTP\/1\.1 (\d{3})/.exec(line)?.[1]);
    if (Number.isNaN(status)) throw new Error(`no status line: ${line.slice(0, 100)}`);
    const headers = new Headers(
      fields.map((field) => [field.slice(0, field.indexOf(':')), field.slice(field.indexOf(':') + 1).trim()]),
    );
    rest = rest.subarray(end + 4);
    const content =
      head || status < 200 || status === 204 ? { body: Buffer.alloc(0), rest } : contentOf(rest, headers);
    if (!content) return answers;
    rest = content.rest;
    if (status < 200) continue;
    const text = content.body.toString();
    const isJson = (headers.get('content-type') ?? '').includes('json') && text !== '';
    answers.push({ status, headers, text, body: isJson ? (JSON.parse(text) as unknown) : undefined });
  }
}

function contentOf(bytes: Buffer, headers: Headers): { body: Buffer; rest: Buffer } | undefined {
  if (headers.get('transfer-encoding') !== 'chunked') {
    const length = Number(headers.get('content-length') ?? 0);
    return bytes.length < length
      ? undefined
      : { body: bytes.subarray(0, length), rest: bytes.subarray(length) };
  }
  const chunks: Buffer[] = [];
  for (let at = 0; ;) {
    const lineEnd = bytes.indexOf('\r\n', at);
    if (lineEnd < 0) return undefined;
    const size = Number.parseInt(bytes.subarray(at, lineEnd).toString('latin1'), 16);
    const end = lineEnd + 2 + size + 2;
    if (bytes.length < end) return undefined;
    if (size === 0) return { body: Buffer.concat(chunks), rest: bytes.subarray(end) };
    chunks.push(bytes.subarray(lineEnd + 2, lineEnd + 2 + size));
    at = end;
  }
}
