import { ClientProxyFactory, Transport } from '@nestjs/microservices';
import { once } from 'node:events';
import { lastValueFrom } from 'rxjs';
import { WebSocket } from 'ws';
import type { RouteEntry } from '../../src/access/inventory/route-entry.js';
import { sendRaw, type RawAnswer } from '../http/raw-client.js';
import { socketOf } from '../access/sockets.js';
import { ask } from '../support/hostile.application.js';
import type { RunningShape, ShapeRequest } from './shape.js';

/** What became of a call: its status, where a message that was answered counts as 200. */
export type Outcome = number;

/** Calls one way in, over the transport that it is on. */
export function call(
  app: RunningShape,
  entry: RouteEntry,
  request: ShapeRequest = {},
  as?: string,
): Promise<Outcome> {
  switch (entry.transport) {
    case 'http':
      return callHttp(app, lineOf(entry), fieldsOf(entry, request, as), request.body).then(
        ({ status }) => status,
      );
    case 'rpc':
      return sendMessage(app, entry, request, as);
    case 'ws':
      return saySocket(app, entry, as);
    case 'graphql':
      return entry.method === 'SUBSCRIPTION'
        ? subscribe(app, request.operation ?? '', as)
        : operate(app, request.operation ?? '', as);
    default:
      throw new TypeError(`no caller for ${entry.transport}`);
  }
}

/** The request line of a way in, with something for each parameter. */
export function lineOf({ method, path }: RouteEntry, as = (concrete: string): string => concrete): string {
  const concrete = path.replace(/:\w+/g, '1').replace(/\*\w*$/, 'some/where');
  return `${method === 'ALL' ? 'DELETE' : method} ${as(concrete)}`;
}

export function fieldsOf(
  { host, version, path }: RouteEntry,
  { fields = [] }: ShapeRequest,
  as?: string,
): readonly string[] {
  const inPath = version === undefined || path.includes(`/v${version}`) || version === 'neutral';
  return [
    `Host: ${host?.replace(/:\w+/g, 'acme') ?? 'localhost'}`,
    ...(inPath ? [] : [`X-Version: ${version}`, `Accept: application/json;v=${version}`]),
    ...(as === undefined ? [] : [`Authorization: Bearer ${as}`]),
    ...fields,
  ];
}

/** Sends a request as it is, and reads the one answer. */
export async function callHttp(
  app: RunningShape,
  line: string,
  fields: readonly string[],
  body = '',
): Promise<RawAnswer> {
  const length = body === '' ? [] : [`Content-Length: ${Buffer.byteLength(body)}`];
  const text = [`${line} HTTP/1.1`, 'Connection: close', ...fields, ...length, '', body].join('\r\n');
  const { answers } = await sendRaw(app.port, text, { head: line.startsWith('HEAD'), answers: 1 });
  if (!answers[0]) throw new Error(`no answer to ${line}`);
  return answers[0];
}

async function sendMessage(
  app: RunningShape,
  { path }: RouteEntry,
  { data }: ShapeRequest,
  as?: string,
): Promise<Outcome> {
  const options = { host: '127.0.0.1', port: app.rpcPort() };
  const client = ClientProxyFactory.create({ transport: Transport.TCP, options });
  const pattern: unknown = path.startsWith('{') ? JSON.parse(path) : path;
  try {
    await client.connect();
    await lastValueFrom(
      client.send(pattern, { ...data, ...(as !== undefined && { proof: `Bearer ${as}` }) }),
    );
    return 200;
  } catch (error) {
    return (error as { status?: number }).status ?? 500;
  } finally {
    client.close();
  }
}

/** A socket that is closed instead of answered counts as refused, with the status that its close code tells. */
async function saySocket(app: RunningShape, { method, path }: RouteEntry, as?: string): Promise<Outcome> {
  const at = /^(\/\S+)(?: |$)/.exec(path)?.[1] ?? '';
  const socket = await socketOf(app, as, at);
  try {
    const closed = socket.closed.then(({ code }) => code - 4_000);
    // Who was let in is answered.
    const event = method === 'CONNECT' ? 'events' : path.slice(path.lastIndexOf(' ') + 1);
    const answered = socket.say(event).then((said) => {
      const { event: name, data } = said as { event: string; data?: { status?: number } };
      return name === 'exception' ? (data?.status ?? 500) : 200;
    });
    return await Promise.race([closed, answered]);
  } finally {
    socket.end();
  }
}

async function operate(app: RunningShape, query: string, as?: string): Promise<Outcome> {
  const { body } = await ask(app, 'POST', '/graphql', { as, body: { query } });
  return outcomeOf((body as { errors?: unknown }).errors);
}

/** The protocol of graphql-ws, as far as one subscription needs it. */
async function subscribe(app: RunningShape, query: string, as?: string): Promise<Outcome> {
  const headers = as === undefined ? {} : { authorization: `Bearer ${as}` };
  const url = `${app.url.replace('http', 'ws')}/graphql`;
  const socket = new WebSocket(url, 'graphql-transport-ws', { headers });
  const next = async (): Promise<{ type: string; payload?: { errors?: unknown } }> => {
    const [message] = (await once(socket, 'message')) as [Buffer];
    return JSON.parse(message.toString()) as { type: string };
  };
  try {
    await once(socket, 'open');
    socket.send(JSON.stringify({ type: 'connection_init' }));
    await next();
    socket.send(JSON.stringify({ type: 'subscribe', id: '1', payload: { query } }));
    const { type, payload } = await next();
    return type === 'error' ? outcomeOf(payload) : outcomeOf(payload?.errors);
  } finally {
    socket.terminate();
  }
}

/** GraphQL tells a refusal by its code. */
function outcomeOf(errors: unknown): Outcome {
  if (errors === undefined) return 200;
  const text = JSON.stringify(errors);
  if (/authentication-required/.test(text)) return 401;
  return /permission-denied/.test(text) ? 403 : 500;
}
