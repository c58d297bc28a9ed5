import {
  IncomingMessage,
  ServerResponse,
  type OutgoingHttpHeaders,
  type Server,
  validateHeaderName,
  validateHeaderValue,
} from 'node:http';
import { Socket } from 'node:net';
import { QUOTA_FIELDS, SAY_QUOTA, type SaysQuota } from '../core/answer-quota.js';
import { requestIdOf } from './request-id.js';
import { replace } from './server-classes.js';

type Field = readonly [name: string, value: string];

const FIELDS = Symbol('nestjs-zero-trust:standing-fields');
const ID = Symbol('nestjs-zero-trust:request-id');
const QUOTA = Symbol('nestjs-zero-trust:quota');
const QUOTA_POLICY = Symbol('nestjs-zero-trust:quota-policy');
const STATE = Symbol('nestjs-zero-trust:state-of-fields');

/** What was set one by one on an answer. */
const NOTHING = 0;
const OTHERS = 1;
/** Also one of those that it bears. */
const OURS = 2;

/** Names of which it is remembered whether they are ours: all that an application writes, and not what a caller may. */
const MAX_NAMES = 500;

/** What Node.js does with header fields in the end: `headers` are those of `setHeader`, or what `writeHead` was given. */
interface StoresFields {
  _storeHeader(firstLine: string, headers: unknown): void;
  getRawHeaderNames(): string[];
}

type Bearing = ServerResponse &
  StoresFields &
  Partial<SaysQuota> & {
    [FIELDS]?: StandingFields | undefined;
    [ID]?: string;
    [QUOTA]?: string | undefined;
    [QUOTA_POLICY]?: string | undefined;
    [STATE]?: number;
  };

/** Names, in lower case, of what each answer has its own value of. */
const OF_ONE_ANSWER: ReadonlySet<string> = new Set(
  ['X-Request-Id', ...QUOTA_FIELDS].map((name) => name.toLowerCase()),
);

/** As Node.js calls it: its types do not know of the options. */
const NodeResponse = ServerResponse as unknown as new (
  request: IncomingMessage,
  options?: object,
) => ServerResponse;

const node = ServerResponse.prototype as ServerResponse & StoresFields;

/**
 * Header fields that every answer bears, its id, and what is left to its caller. Node.js checks and stores each field of each answer anew, which
 * costs more than all checks of a request together: here they are checked once and written as one text. Whoever sets
 * one of them, takes it away or asks for it, meets what `setHeader` would have left there.
 */
export class StandingFields {
  readonly #fields: ReadonlyMap<string, Field>;
  readonly #names = new Map<string, boolean>();
  readonly #text: string;
  /** Up to the id: the fewer pieces, the sooner they are one text. */
  readonly #textToId: string;
  readonly #isWritten: boolean;

  constructor(fields: Iterable<Field>) {
    this.#fields = new Map([...fields].map((field) => [field[0].toLowerCase(), field]));
    for (const [name, value] of this.#fields.values()) {
      validateHeaderName(name);
      validateHeaderValue(name, value);
    }
    this.#text = textOf(this.#fields.values());
    this.#textToId = `${this.#text}X-Request-Id: `;
    this.#isWritten = this.#try();
  }

  /** Puts them on an answer that has no field yet. @param id of the request; made by us, so that it needs no check */
  putOn(response: ServerResponse, id: string): void {
    const bearing = response as Bearing;
    // HTTP/2 has no such text. And what somebody set before goes with them by Node's own rules.
    if (!this.#isWritten || !(response instanceof ServerResponse) || hasFields(bearing)) {
      for (const [name, value] of this.#fields.values()) response.setHeader(name, value);
      response.setHeader('X-Request-Id', id);
      return;
    }
    this.#give(bearing, id);
  }

  #give(bearing: Bearing, id: string): void {
    this.#giveState(bearing, id);
    giveMethods(bearing);
  }

  #giveState(bearing: Bearing, id: string): void {
    bearing[FIELDS] = this;
    bearing[ID] = id;
    bearing[STATE] = NOTHING;
    bearing[QUOTA] = undefined;
    bearing[QUOTA_POLICY] = undefined;
    // Its own, whatever else it is made to inherit.
    bearing._storeHeader = storeHeader;
  }

  /**
   * Puts them on each answer of a server when its request leaves Node's parser, before the adapter sees it: what the adapter
   * answers on its own, a CORS preflight or a target that it cannot route, bears an id and the fields of every other too.
   */
  putOnAllOf(server: Server): void {
    server.prependListener('request', (request: IncomingMessage, response: ServerResponse) => {
      this.putOn(response, requestIdOf(request));
    });
  }

  /**
   * The same for less: the server makes answers that bear them, and what is theirs, from the start. Not for Express, whose
   * applications give an answer what is their own in the place of this.
   */
  makeAnswersOf(server: Server): void {
    const give = (answer: Bearing, id: string): void => {
      this.#giveState(answer, id);
    };
    const isDone =
      this.#isWritten &&
      replace(server, ServerResponse, () => {
        class StandingAnswer extends NodeResponse {
          constructor(request: IncomingMessage, options?: object) {
            super(request, options);
            give(this as unknown as Bearing, requestIdOf(request));
          }
        }
        giveMethods(StandingAnswer.prototype as unknown as Bearing);
        return StandingAnswer;
      });
    if (!isDone) this.putOnAllOf(server);
  }

  /** Whether an answer bears them, of whichever application. */
  static areOn(response: object): boolean {
    return (response as Partial<Bearing>)[FIELDS] !== undefined;
  }

  /** Whether a field is one of them, however its name is written. */
  has(name: string): boolean {
    let known = this.#names.get(name);
    // What is no name at all is for Node.js to refuse.
    if (known === undefined && typeof name === 'string') {
      const field = name.toLowerCase();
      known = OF_ONE_ANSWER.has(field) || this.#fields.has(field);
      if (this.#names.size < MAX_NAMES) this.#names.set(name, known);
    }
    return known === true;
  }

  valueOf(name: string, response: Bearing): string | undefined {
    if (!this.has(name)) return undefined;
    const field = name.toLowerCase();
    return this.all(response).find(([each]) => each.toLowerCase() === field)?.[1];
  }

  all({ [ID]: id = '', [QUOTA]: quota, [QUOTA_POLICY]: policy }: Bearing): Field[] {
    const fields: Field[] = [...this.#fields.values(), ['X-Request-Id', id]];
    if (quota !== undefined && policy !== undefined) {
      fields.push([QUOTA_FIELDS[0], quota], [QUOTA_FIELDS[1], policy]);
    }
    return fields;
  }

  textFor({ [ID]: id = '', [QUOTA]: quota, [QUOTA_POLICY]: policy }: Bearing): string {
    return quota === undefined || policy === undefined
      ? `${this.#textToId}${id}\r\n`
      : `${this.#textToId}${id}\r\nRateLimit: ${quota}\r\nRateLimit-Policy: ${policy}\r\n`;
  }

  /** Whether one of them is among header fields in any of the shapes that `writeHead` takes. */
  areAmong(headers: unknown): boolean {
    if (Array.isArray(headers)) return true;
    for (const name in headers as object) if (this.has(name)) return true;
    return false;
  }

  /** Whether this Node.js writes answers as we know it: where it does not, each field is set one by one. */
  #try(): boolean {
    const answer = new ServerResponse(new IncomingMessage(new Socket())) as Bearing & { _header?: unknown };
    this.#give(answer, 'id');
    answer.setHeader('Content-Length', '0');
    answer.writeHead(200);
    return String(answer._header).includes(`\r\n${this.#text}X-Request-Id: id\r\nContent-Length: 0\r\n`);
  }
}

/** An answer's own, or those of all answers of a class. */
function giveMethods(bearing: Bearing): void {
  bearing[SAY_QUOTA] = sayQuota;
  bearing.setHeader = setHeader;
  bearing.getHeader = getHeader;
  bearing.hasHeader = hasHeader;
  bearing.getHeaders = getHeaders;
  bearing.getHeaderNames = getHeaderNames;
  bearing.getRawHeaderNames = getRawHeaderNames;
  bearing.removeHeader = removeHeader;
  bearing.appendHeader = appendHeader;
}

function textOf(fields: Iterable<Field>): string {
  let text = '';
  for (const [name, value] of fields) text += `${name}: ${value}\r\n`;
  return text;
}

const hasFields = (response: Bearing): boolean => node.getRawHeaderNames.call(response).length > 0;

/** From here on they are fields like all others. */
function setEach(response: Bearing): void {
  const { [FIELDS]: fields } = response;
  if (!fields || response.headersSent) return;
  response[FIELDS] = undefined;
  for (const [name, value] of fields.all(response)) {
    if (!node.hasHeader.call(response, name)) node.setHeader.call(response, name, value);
  }
}

function setHeader(this: Bearing, name: string, value: string): Bearing {
  node.setHeader.call(this, name, value);
  const { [FIELDS]: fields } = this;
  if (fields) this[STATE] = fields.has(name) || this[STATE] === OURS ? OURS : OTHERS;
  return this;
}

/** What was set before under its names gives way, as by `setHeader`. */
function sayQuota(this: Bearing, quota: string, policy: string): void {
  if (this.headersSent) return;
  const { [FIELDS]: fields, [STATE]: state } = this;
  if (fields && state !== OURS) {
    this[QUOTA] = quota;
    this[QUOTA_POLICY] = policy;
    return;
  }
  this.setHeader(QUOTA_FIELDS[0], quota);
  this.setHeader(QUOTA_FIELDS[1], policy);
}

function storeHeader(this: Bearing, firstLine: string, headers: unknown): void {
  const { [FIELDS]: fields, [STATE]: state } = this;
  if (!fields) node._storeHeader.call(this, firstLine, headers);
  // What was set one by one is handed on by Node.js; else it is what `writeHead` was given. Who was given another prototype
  // on the way has not told us what was set.
  else if (
    (state === OTHERS && this.setHeader === setHeader) ||
    (state !== OURS && !fields.areAmong(headers))
  )
    node._storeHeader.call(this, firstLine + fields.textFor(this), headers);
  else storeEach(this, firstLine, headers);
}

/** Somebody set one of them: theirs counts, as Node.js itself puts both together. */
function storeEach(response: Bearing, firstLine: string, headers: unknown): void {
  const isOwnTable = hasFields(response);
  setEach(response);
  // What was set one by one is handed on by Node.js as its own table, in which ours are now too.
  if (isOwnTable) {
    node._storeHeader.call(response, firstLine, headers);
    return;
  }
  const given =
    Array.isArray(headers) && Array.isArray(headers[0]) ? (headers as unknown[][]).flat() : headers;
  node.writeHead.call(response, response.statusCode, given as OutgoingHttpHeaders);
}

function getHeader(this: Bearing, name: string): ReturnType<ServerResponse['getHeader']> {
  return node.getHeader.call(this, name) ?? this[FIELDS]?.valueOf(name, this);
}

function hasHeader(this: Bearing, name: string): boolean {
  return node.hasHeader.call(this, name) || this[FIELDS]?.valueOf(name, this) !== undefined;
}

function getHeaders(this: Bearing): OutgoingHttpHeaders {
  const standing = this[FIELDS]?.all(this).map(([name, value]) => [name.toLowerCase(), value] as const) ?? [];
  const none = Object.create(null) as OutgoingHttpHeaders;
  return Object.assign(none, Object.fromEntries(standing), node.getHeaders.call(this));
}

function getHeaderNames(this: Bearing): string[] {
  return Object.keys(this.getHeaders());
}

function getRawHeaderNames(this: Bearing): string[] {
  const names = node.getRawHeaderNames.call(this);
  const known = new Set(names.map((name) => name.toLowerCase()));
  const standing = this[FIELDS]?.all(this).map(([name]) => name) ?? [];
  return [...standing.filter((name) => !known.has(name.toLowerCase())), ...names];
}

function removeHeader(this: Bearing, name: string): void {
  if (this[FIELDS]?.has(name)) setEach(this);
  node.removeHeader.call(this, name);
}

function appendHeader(this: Bearing, name: string, value: string | readonly string[]): Bearing {
  if (this[FIELDS]?.has(name)) setEach(this);
  node.appendHeader.call(this, name, value);
  return this;
}
