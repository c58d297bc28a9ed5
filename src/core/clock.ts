import { Injectable } from '@nestjs/common';

/** Where the kit reads the time, so that a test can hold it still. Port and DI token at once. */
export abstract class Clock {
  /** Milliseconds since the Unix epoch. */
  abstract nowMs(): number;

  /** Whole seconds since the Unix epoch: the NumericDate of RFC 7519. */
  nowSeconds(): number {
    return Math.floor(this.nowMs() / 1000);
  }
}

/** The clock of the machine. */
@Injectable()
export class SystemClock extends Clock {
  nowMs(): number {
    return Date.now();
  }
}
