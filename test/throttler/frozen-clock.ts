import { Clock } from '../../src/core/clock.js';

/** Time that moves only when a test says so. */
export class FrozenClock extends Clock {
  constructor(private atMs = Date.UTC(2026, 0, 1)) {
    super();
  }

  override nowMs(): number {
    return this.atMs;
  }

  advanceSeconds(seconds: number): void {
    this.atMs += seconds * 1000;
  }
}
