import { Argon2Engine } from '../../../src/identity/passwords/argon2.engine.js';
import type { Argon2Parameters } from '../../../src/identity/passwords/phc-string.js';

/** The real engine, which also says what it was asked to do. */
export class CountingEngine extends Argon2Engine {
  /** The stored hashes that were verified against. */
  readonly verified: string[] = [];
  hashed = 0;
  mostAtOnce = 0;
  #atOnce = 0;

  override hash(password: string, parameters: Argon2Parameters, secret: Buffer): Promise<string> {
    this.hashed += 1;
    return this.#count(super.hash(password, parameters, secret));
  }

  override verify(phc: string, password: string, secret: Buffer): Promise<boolean> {
    this.verified.push(phc);
    return this.#count(super.verify(phc, password, secret));
  }

  async #count<T>(work: Promise<T>): Promise<T> {
    this.#atOnce += 1;
    this.mostAtOnce = Math.max(this.mostAtOnce, this.#atOnce);
    try {
      return await work;
    } finally {
      this.#atOnce -= 1;
    }
  }
}
