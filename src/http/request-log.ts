import { Injectable } from '@nestjs/common';
import type { ServerResponse } from 'node:http';
import { Clock } from '../core/clock.js';
import type { RequestContext } from '../core/request-context.js';

const FLUSH_AFTER_MS = 10;
/** Of methods and handlers; what else a parser lets through is written anew each time. */
const MAX_NAMES = 1_000;
const BATCH_BYTES = 65_536;
/** Of UTF-8 for one character of JavaScript's. */
const MOST_BYTES = 3;

const CONTEXT = Symbol('nestjs-zero-trust:logged-context');
type Watched = ServerResponse & { [CONTEXT]?: RequestContext | undefined };

/** How many requests were answered, by the class of their status: `2` for 2xx. */
export type AnswerCounts = Readonly<Record<'1' | '2' | '3' | '4' | '5', number>>;

/**
 * Counts every answered request and writes one line about it, in batches: a line of its own for each would cost more
 * than all checks together. It names ids, the route's handler and the outcome; never a query, a body or an address
 * (ASVS 16.2.5).
 */
@Injectable()
export class RequestLog {
  readonly #counts = { '1': 0, '2': 0, '3': 0, '4': 0, '5': 0 };
  /** One for all answers. */
  readonly #closed: (this: Watched) => void;
  /** What is said of each request of a handler, by its name and the method. */
  readonly #said = new Map<string, Map<string, string>>();
  #saidTexts = 0;
  /** Lines are written into it at once: as one long text they would be put together later, at three times the cost. */
  readonly #batch = Buffer.allocUnsafeSlow(BATCH_BYTES);
  #used = 0;
  #timer: NodeJS.Timeout | undefined;

  constructor(private readonly clock: Clock) {
    const append = (context: RequestContext, response: ServerResponse): void => {
      this.#append(context, response);
    };
    this.#closed = function (): void {
      const { [CONTEXT]: context } = this;
      this[CONTEXT] = undefined;
      if (context) append(context, this);
    };
  }

  get counts(): AnswerCounts {
    return { ...this.#counts };
  }

  watch(context: RequestContext, response: Watched): void {
    response[CONTEXT] = context;
    response.on('close', this.#closed);
  }

  flush(): void {
    if (this.#timer) clearTimeout(this.#timer);
    this.#timer = undefined;
    if (this.#used === 0) return;
    // A copy: a pipe may keep it for longer than until the next line.
    const lines = Buffer.from(this.#batch.subarray(0, this.#used));
    this.#used = 0;
    process.stdout.write(lines);
  }

  /** Made once: methods and handlers are few. */
  #saidOf(method = '', handler = ''): string {
    let known = this.#said.get(handler);
    const text = known?.get(method);
    if (text !== undefined) return text;
    const [quotedMethod, quotedHandler] = [method, handler].map((name) =>
      name === '' ? 'null' : JSON.stringify(name),
    );
    const made = `"method":${quotedMethod},"handler":${quotedHandler}`;
    if (this.#saidTexts >= MAX_NAMES) return made;
    if (!known) this.#said.set(handler, (known = new Map<string, string>()));
    known.set(method, made);
    this.#saidTexts += 1;
    return made;
  }

  #append(context: RequestContext, { statusCode: code, writableFinished }: ServerResponse): void {
    // A handler may have written anything into it; what was sent is a number.
    const statusCode = Math.trunc(code) || 0;
    const family = Math.trunc(statusCode / 100);
    if (family >= 1 && family <= 5) this.#counts[family as unknown as keyof AnswerCounts] += 1;
    const now = this.clock.nowMs();
    // Everything in it is made by us or escaped; written by hand because it is the one line on the allowed path.
    this.#write(
      `{"time":${now},"request":"${context.id}",${this.#saidOf(context.method, context.handler)},"status":${statusCode},"ms":${now - context.receivedAtMs},` +
        `"subject":${quoted(context.principal?.subject)}${writableFinished ? '' : ',"aborted":true'}}\n`,
    );
  }

  #write(line: string): void {
    const most = line.length * MOST_BYTES;
    if (this.#used + most > BATCH_BYTES) this.flush();
    // Somebody's names are that long.
    if (most > BATCH_BYTES) process.stdout.write(line);
    else this.#used += this.#batch.write(line, this.#used);
    this.#timer ??= setTimeout(() => {
      this.flush();
    }, FLUSH_AFTER_MS).unref();
  }
}

/** As JSON. What needs no escape is seen to need none in a fraction of the time that `JSON.stringify` takes. */
function quoted(text: string | undefined): string {
  if (text === undefined) return 'null';
  return /^[\w.-]*$/.test(text) ? `"${text}"` : JSON.stringify(text);
}
