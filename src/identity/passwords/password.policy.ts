import { Inject, Injectable } from '@nestjs/common';
import { isCommonPassword } from './common-passwords.js';
import { IDENTITY_SETTINGS, type IdentitySettings } from '../identity.options.js';

/**
 * The one upper limit, in bytes of UTF-8 because that is what hashing costs by. No text of 256 characters or fewer
 * exceeds it, whatever it is written in (ASVS 6.2.9 asks for 64).
 */
export const MAX_PASSWORD_BYTES = 1024;

/** Shorter words are in too many good passwords to be forbidden there. */
const SHORTEST_CONTEXT_WORD = 4;

/**
 * Whether a text can be a password at all: this and nothing else is asked at sign-in, so that whatever could be set
 * can be used. Half a surrogate pair cannot: in UTF-8 all of them are one and the same character.
 */
export function isPasswordText(text: unknown): text is string {
  return (
    typeof text === 'string' &&
    text !== '' &&
    text.length <= MAX_PASSWORD_BYTES &&
    Buffer.byteLength(text) <= MAX_PASSWORD_BYTES &&
    !/\p{Surrogate}/u.test(text)
  );
}

/** Whose password it will be: nobody may build it from this. */
export interface PasswordOwner {
  readonly localPart: string;
  readonly displayName: string;
}

/** What a new password has to be. No composition rules (ASVS 6.2.5): length, and not what an attacker tries first. */
@Injectable()
export class PasswordPolicy {
  readonly #minLength: number;
  readonly #contextWords: readonly string[];

  constructor(@Inject(IDENTITY_SETTINGS) settings: IdentitySettings) {
    this.#minLength = settings.minPasswordLength;
    this.#contextWords = [...settings.contextWords, ...wordsOf(settings.productName)];
  }

  /** @returns why the password is refused, in the caller's words and without repeating it; empty when it is not. */
  async faultsOf(password: string, owner: PasswordOwner): Promise<string[]> {
    if (!isPasswordText(password)) {
      return [`password must be a text of 1 to ${MAX_PASSWORD_BYTES} bytes`];
    }
    if (Array.from(password).length < this.#minLength) {
      return [`password must have at least ${this.#minLength} characters`];
    }
    const faults: string[] = [];
    if (await isCommonPassword(password)) {
      faults.push('password is one that attackers try first: choose one that nobody else would');
    }
    if (this.#containsContext(password, owner)) {
      faults.push('password must not contain your e-mail name, your name or the name of this service');
    }
    return faults;
  }

  #containsContext(password: string, { localPart, displayName }: PasswordOwner): boolean {
    const text = folded(password);
    const words = [...this.#contextWords, localPart, ...wordsOf(displayName)];
    return words
      .map(folded)
      .some((word) => Array.from(word).length >= SHORTEST_CONTEXT_WORD && text.includes(word));
  }
}

function wordsOf(name: string): string[] {
  return name.split(/[\s,.'’-]+/u);
}

/** For comparing alone: what is hashed is the password as it was received. */
function folded(text: string): string {
  return text.normalize('NFKC').toLowerCase();
}
