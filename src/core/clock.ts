import { Injectable } from '@nestjs/common';

/** Where the kit reads the time, so that a test can hold it still. Port and DI token at once. */
export abstract class Clock {
  /** Milliseconds since the Unix epoch. */
  abstract nowMs(): number;

  /** Whole seconds since the Unix epoch: the NumericDate of RFC 7519. */
  nowSeconds(): number {
    return Math.floor(this.nowMs() / 1000);
  }

  /** Runs `work` at one moment: as far as it goes without waiting, the time is read once. A clock may read it each time. */
  during<T>(work: () => T): T {
    return work();
  }
}

/** The clock of the machine. */
@Injectable()
export class SystemClock extends Clock {
  #moment: number | undefined;

  nowMs(): number {
    return this.#moment ?? Date.now();
  }

  override during<T>(work: () => T): T {
    if (this.#moment !== undefined) return work();
    this.#moment = Date.now();
    try {
      return work();
    } finally {
      this.#moment = undefined;
    }
  }
}
