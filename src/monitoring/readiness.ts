import { Injectable, type BeforeApplicationShutdown } from '@nestjs/common';
import { Clock } from '../core/clock.js';
import { DatabaseProbe } from '../database/database.probe.js';

/** How long the database may take to answer: what a request would not wait for is not ready. */
const DEADLINE_MS = 250;
/** How long an answer is passed on: whoever asks without proof must not be able to make the database work. */
const SHARED_FOR_MS = 250;

/** Whether requests can be served. All who ask within a quarter of a second share one question to the database. */
@Injectable()
export class Readiness implements BeforeApplicationShutdown {
  #shared: { readonly ready: Promise<boolean>; settledAtMs: number | undefined } | undefined;
  #stopping = false;

  constructor(
    private readonly probe: DatabaseProbe,
    private readonly clock: Clock,
  ) {}

  async check(): Promise<boolean> {
    if (this.#stopping) return false;
    const settledAtMs = this.#shared?.settledAtMs;
    const fresh = settledAtMs === undefined || this.#isWithin(this.clock.nowMs() - settledAtMs);
    if (this.#shared === undefined || !fresh) this.#shared = this.#ask();
    return this.#shared.ready;
  }

  /** What still runs is finished; nothing new should be sent here. */
  beforeApplicationShutdown(): void {
    this.#stopping = true;
  }

  #ask(): { readonly ready: Promise<boolean>; settledAtMs: number | undefined } {
    const asked = {
      ready: this.probe.check(DEADLINE_MS).finally(() => (asked.settledAtMs = this.clock.nowMs())),
      settledAtMs: undefined as number | undefined,
    };
    return asked;
  }

  /** A clock that was set back must not keep an old answer alive. */
  #isWithin(ageMs: number): boolean {
    return ageMs >= 0 && ageMs < SHARED_FOR_MS;
  }
}
