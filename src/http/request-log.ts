import { Injectable } from '@nestjs/common';
import type { ServerResponse } from 'node:http';
import { Clock } from '../core/clock.js';
import type { RequestContext } from '../core/request-context.js';

const FLUSH_AFTER_MS = 10;
const FLUSH_AT_CHARACTERS = 65_536;

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
  #lines = '';
  #timer: NodeJS.Timeout | undefined;

  constructor(private readonly clock: Clock) {}

  get counts(): AnswerCounts {
    return { ...this.#counts };
  }

  watch(context: RequestContext, response: ServerResponse): void {
    response.once('close', () => {
      this.#append(context, response);
    });
  }

  flush(): void {
    if (this.#timer) clearTimeout(this.#timer);
    this.#timer = undefined;
    if (this.#lines === '') return;
    const lines = this.#lines;
    this.#lines = '';
    process.stdout.write(lines);
  }

  #append(context: RequestContext, { statusCode, writableFinished }: ServerResponse): void {
    const family = String(statusCode).charAt(0);
    if (family in this.#counts) this.#counts[family as keyof AnswerCounts] += 1;
    const now = this.clock.nowMs();
    // Everything in it is made by us or escaped; written by hand because it is the one line on the allowed path.
    this.#lines +=
      `{"time":${now},"request":"${context.id}","method":${JSON.stringify(context.method)},` +
      `"handler":${JSON.stringify(context.handler ?? null)},"status":${statusCode},"ms":${now - context.receivedAtMs},` +
      `"subject":${JSON.stringify(context.principal?.subject ?? null)}${writableFinished ? '' : ',"aborted":true'}}\n`;
    if (this.#lines.length >= FLUSH_AT_CHARACTERS) this.flush();
    else
      this.#timer ??= setTimeout(() => {
        this.flush();
      }, FLUSH_AFTER_MS).unref();
  }
}
