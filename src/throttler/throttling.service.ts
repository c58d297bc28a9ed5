import { Inject, Injectable } from '@nestjs/common';
import { rate, type Rate, type RateOutcome } from './gcra.js';
import { RequestCounter } from './request-counter.js';
import { THROTTLING_SETTINGS, type ThrottlingSettings } from './throttling.options.js';

/**
 * The limits, as one verb, for what only the caller of it can name: an account at sign-in, a mailbox, a tenant.
 * The stages of the pipeline count in the same storage, under keys of their own.
 */
@Injectable()
export class ThrottlingService {
  /** The strict limit of the options, to hold accounts to the same number as sources. */
  readonly strict: Rate;

  constructor(
    private readonly counter: RequestCounter,
    @Inject(THROTTLING_SETTINGS) settings: ThrottlingSettings,
  ) {
    this.strict = rate(settings.strictRequests, settings.strictWindowSeconds);
  }

  /**
   * Counts one attempt on `key` against `limit` and says whether it may go on: count and answer are one step, so
   * that parallel attempts cannot all pass on one reading. Answers without a promise unless the storage is shared.
   *
   * Say the purpose in the key (`sign-in:…`), and put no personal data into it: an account by its id or keyed hash,
   * known or not, so that the answer does not tell which (ASVS 6.3.8). For a refusal throw `tooManyRequests(…)`.
   */
  consume(key: string, limit: Rate): RateOutcome | Promise<RateOutcome> {
    return this.counter.consume(`own|${key}`, limit);
  }
}
