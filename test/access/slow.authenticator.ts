import { EventEmitter, once } from 'node:events';
import { Authenticator } from '../../src/core/authenticator.js';
import type { Principal } from '../../src/core/principal.js';

/** Says who somebody is when a test lets it. */
export class SlowAuthenticator extends Authenticator {
  readonly asked: ((principal: Principal | undefined) => void)[] = [];
  readonly #came = new EventEmitter();

  override authenticate(): Promise<Principal | undefined> {
    const answer = new Promise<Principal | undefined>((resolve) => this.asked.push(resolve));
    this.#came.emit('asked');
    return answer;
  }

  async next(): Promise<(principal: Principal | undefined) => void> {
    if (this.asked.length === 0) await once(this.#came, 'asked');
    return this.asked.shift()!;
  }
}
