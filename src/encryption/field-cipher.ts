import { Injectable } from '@nestjs/common';
import { AsyncLocalStorage } from 'node:async_hooks';
import { SecurityEvents } from '../core/security-events.js';
import { ZeroTrustError } from '../core/zero-trust-error.js';
import { DEFAULT_TENANT, addressOf, type Cell } from './cell.js';
import { IntegrityError } from './encryption.errors.js';
import { openEnvelope, sealEnvelope, shortIdOf } from './envelope.js';
import { KeyRing } from './key-ring.js';

/** The first byte of every content says what was sealed, so that nothing comes back as something else. */
const KIND = { bytes: 0x00, text: 0x01 } as const;
type Kind = keyof typeof KIND;

/**
 * Seals single values for one cell of one row (ASVS 11.3.3): moved to another row, column or table, or altered
 * anywhere, they do not open. NULL is not sealed: a NULL column stays NULL, and empty stays empty.
 */
@Injectable()
export class FieldCipher {
  readonly #recording = new AsyncLocalStorage<true>();

  constructor(
    private readonly keys: KeyRing,
    private readonly events: SecurityEvents,
  ) {}

  async seal(cell: Cell, plaintext: Buffer): Promise<Buffer> {
    if (!Buffer.isBuffer(plaintext)) throw new TypeError('FieldCipher.seal: give a Buffer.');
    return this.#seal(cell, 'bytes', plaintext);
  }

  /** @throws IntegrityError, after it was recorded, when the value does not open in this cell. Never a part of it. */
  async open(cell: Cell, sealed: Buffer): Promise<Buffer> {
    return this.#open(cell, 'bytes', sealed);
  }

  /** @throws ZeroTrustError `validation-failed` when the text holds a lone surrogate, which UTF-8 cannot carry. */
  async sealText(cell: Cell, plaintext: string): Promise<Buffer> {
    if (typeof plaintext !== 'string') throw new TypeError('FieldCipher.sealText: give a string.');
    if (/\p{Cs}/u.test(plaintext)) {
      throw new ZeroTrustError('validation-failed', { detail: 'a text to be sealed is not valid Unicode' });
    }
    return this.#seal(cell, 'text', Buffer.from(plaintext, 'utf8'));
  }

  /** @throws IntegrityError as `open` does. */
  async openText(cell: Cell, sealed: Buffer): Promise<string> {
    return (await this.#open(cell, 'text', sealed)).toString('utf8');
  }

  async #seal(cell: Cell, kind: Kind, plaintext: Buffer): Promise<Buffer> {
    const address = addressOf(DEFAULT_TENANT, cell);
    return this.#recordingFailure(cell, async () => {
      const key = await this.keys.sealingKey(cell.table);
      return sealEnvelope(key, address, Buffer.concat([Buffer.of(KIND[kind]), plaintext]));
    });
  }

  async #open(cell: Cell, kind: Kind, sealed: Buffer): Promise<Buffer> {
    if (!Buffer.isBuffer(sealed)) throw new TypeError('FieldCipher: give the sealed value as a Buffer.');
    const address = addressOf(DEFAULT_TENANT, cell);
    const content = await this.#recordingFailure(cell, async () => {
      const shortId = shortIdOf(sealed);
      if (shortId === undefined) throw new IntegrityError('the sealed value is malformed');
      const key = await this.keys.openingKey(cell.table, shortId);
      const opened = openEnvelope(key, address, sealed);
      if (!opened) throw new IntegrityError('the sealed value does not open in this cell');
      return opened;
    });
    if (content[0] !== KIND[kind]) {
      throw new TypeError(
        `FieldCipher: this value was not sealed as ${kind}; open it the way it was sealed.`,
      );
    }
    return content.subarray(1);
  }

  /** Decide, publish, act: a value that does not open is reported before anybody hears of it (ASVS 16.3.4). */
  async #recordingFailure(cell: Cell, work: () => Promise<Buffer>): Promise<Buffer> {
    try {
      return await work();
    } catch (error) {
      // A listener may seal what it stores. If that fails too, reporting it would call the listener again, for ever.
      if (error instanceof IntegrityError && !this.#recording.getStore()) await this.#record(cell, error);
      throw error;
    }
  }

  async #record(cell: Cell, error: IntegrityError): Promise<void> {
    try {
      await this.#recording.run(true, () =>
        this.events.publish({
          action: 'encryption.integrity-failed',
          outcome: 'failure',
          delivery: 'detached',
          target: { type: 'row', id: cell.row },
          reason: error.detail,
          detail: { table: cell.table, column: cell.column },
        }),
      );
    } catch (cause) {
      throw new ZeroTrustError('temporarily-unavailable', {
        detail: 'an integrity failure could not be recorded',
        cause,
      });
    }
  }
}
