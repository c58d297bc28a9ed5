import { Inject, Injectable } from '@nestjs/common';
import type { ConnectionOptions } from 'node:tls';
import { BootError } from '../core/zero-trust-error.js';
import { databaseTls } from '../database/database-tls.js';
import { parseDatabaseUrl, type DatabaseAddress } from '../database/database-url.js';
import { AUDIT_OPTIONS, type AuditOptions } from './audit.options.js';
import { PUBLIC_DETAILS } from './detail.classification.js';

/** [least, most, default] */
const NUMBERS = {
  readerPoolSize: [1, 20, 2],
  readTimeoutMs: [50, 60_000, 5000],
  scanLimit: [100, 1_000_000, 10_000],
  refusalWindowSeconds: [1, 3600, 10],
  wholeRefusalsPerWindow: [1, 1000, 5],
  maxDifferentRefusals: [1, 100_000, 1000],
} as const;

export interface ReaderConnection {
  readonly address: DatabaseAddress;
  readonly ssl: ConnectionOptions | false;
}

/** The options of AuditModule, checked and complete. */
@Injectable()
export class AuditSettings {
  readonly readerPoolSize: number;
  readonly readTimeoutMs: number;
  readonly scanLimit: number;
  readonly refusalWindowSeconds: number;
  readonly wholeRefusalsPerWindow: number;
  readonly maxDifferentRefusals: number;
  readonly publicDetails: ReadonlySet<string>;
  readonly reader: ReaderConnection;

  /** @throws BootError that names each wrong option and what to write. */
  constructor(@Inject(AUDIT_OPTIONS) options: AuditOptions) {
    const faults: string[] = [];
    const number = (name: keyof typeof NUMBERS): number => {
      const [least, most, otherwise] = NUMBERS[name];
      const value = options[name] ?? otherwise;
      if (!Number.isInteger(value) || value < least || value > most) {
        faults.push(
          `${name}: must be a whole number from ${least} to ${most}; leave it out for ${otherwise}.`,
        );
      }
      return value;
    };
    this.readerPoolSize = number('readerPoolSize');
    this.readTimeoutMs = number('readTimeoutMs');
    this.scanLimit = number('scanLimit');
    this.refusalWindowSeconds = number('refusalWindowSeconds');
    this.wholeRefusalsPerWindow = number('wholeRefusalsPerWindow');
    this.maxDifferentRefusals = number('maxDifferentRefusals');
    this.publicDetails = new Set([...PUBLIC_DETAILS, ...(options.publicDetails ?? [])]);
    const reader = readerOf(options, faults);
    if (!reader || faults.length > 0) throw new BootError('AuditModule', faults);
    this.reader = reader;
  }
}

function readerOf(options: AuditOptions, faults: string[]): ReaderConnection | undefined {
  // An option from the environment may be missing whatever the compiler believes.
  if (typeof (options.readerUrl as unknown) !== 'string' || options.readerUrl === '') {
    faults.push('readerUrl: is missing; give the audit login, e.g. from DATABASE_AUDIT_URL.');
    return undefined;
  }
  // Unset is production.
  const production = process.env.NODE_ENV !== 'development' && process.env.NODE_ENV !== 'test';
  try {
    const address = parseDatabaseUrl(options.readerUrl);
    // TypeORM names it after the server's side; what is in it both sides understand.
    const ssl = databaseTls(address, options, production) as ConnectionOptions | false;
    return { address, ssl };
  } catch (error) {
    faults.push(`readerUrl: ${error instanceof Error ? error.message : 'cannot be read'}.`);
    return undefined;
  }
}
