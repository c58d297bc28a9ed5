import { randomBytes } from 'node:crypto';
import { DataSource } from 'typeorm';
import { Clock } from '../../src/core/clock.js';
import { SecurityEvents, type PublishedSecurityEvent } from '../../src/core/security-events.js';
import { OpenedDataSource } from '../../src/database/database.boot.js';
import { UnitOfWork } from '../../src/database/unit-of-work.js';
import { DataKeyStore } from '../../src/encryption/data-key.store.js';
import { FieldCipher } from '../../src/encryption/field-cipher.js';
import { KeyRing } from '../../src/encryption/key-ring.js';

export class HeldClock extends Clock {
  now = Date.UTC(2026, 10, 24);
  nowMs(): number {
    return this.now;
  }
}

export const newMasterKey = (): string => randomBytes(32).toString('hex');

/** What one process of an application holds: a pool of its own, a key ring of its own, nothing shared. */
export class Replica {
  readonly clock = new HeldClock();
  readonly events = new SecurityEvents(this.clock);
  readonly recorded: PublishedSecurityEvent[] = [];
  readonly unitOfWork: UnitOfWork;
  readonly keys: KeyRing;
  readonly cipher: FieldCipher;

  private constructor(
    readonly dataSource: DataSource,
    masterKey: string,
  ) {
    this.unitOfWork = new UnitOfWork(new OpenedDataSource(dataSource, true));
    this.keys = new KeyRing({ masterKey }, new DataKeyStore(this.unitOfWork), this.clock);
    this.cipher = new FieldCipher(this.keys, this.events);
    this.events.subscribe((event) => void this.recorded.push(event));
  }

  static async open(url: string, masterKey: string): Promise<Replica> {
    const dataSource = new DataSource({ type: 'postgres', url, poolSize: 10 });
    return new Replica(await dataSource.initialize(), masterKey);
  }

  async close(): Promise<void> {
    await this.dataSource.destroy();
  }
}
