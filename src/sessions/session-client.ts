import { Injectable } from '@nestjs/common';
import { RequestContext } from '../core/request-context.js';
import { IntegrityError } from '../encryption/encryption.errors.js';
import { FieldCipher } from '../encryption/field-cipher.js';
import { SessionsSettings } from './sessions.settings.js';

/** Where a session was opened from, as far as the application keeps it. */
export interface SessionClient {
  /** What the client called itself, up to 200 printable characters. */
  readonly device: string | null;
  readonly address: string | null;
}

const UNKNOWN: SessionClient = { device: null, address: null };

/**
 * Device and address of a session: personal data, kept only as far as `clientDetails` says, and sealed under the key
 * ring, bound to its row. For the eyes of its owner alone, who should recognise a session that is not theirs (ASVS 7.5.2).
 */
@Injectable()
export class SessionClients {
  constructor(
    private readonly cipher: FieldCipher,
    private readonly settings: SessionsSettings,
  ) {}

  /** What the request in hand tells, sealed for the row of a session; null when nothing is kept. */
  async sealedFor(sessionId: string): Promise<Buffer | null> {
    const { clientDetails } = this.settings;
    const context = RequestContext.current();
    if (clientDetails === 'none' || !context) return null;
    const client: SessionClient = {
      device: context.userAgent?.replaceAll(/[^\x20-\x7e]/g, '?').slice(0, 200) ?? null,
      address: clientDetails === 'device-and-address' ? (context.sourceAddress ?? null) : null,
    };
    return this.cipher.sealText(cellOf(sessionId), JSON.stringify(client));
  }

  /** Unknown where it does not open. */
  async open(sessionId: string, sealed: Buffer | null): Promise<SessionClient> {
    if (sealed === null) return UNKNOWN;
    try {
      return JSON.parse(await this.cipher.openText(cellOf(sessionId), sealed)) as SessionClient;
    } catch (error) {
      // Recorded where it was found out. One row that does not open must not hide a session from its owner, or all.
      if (error instanceof IntegrityError) return UNKNOWN;
      throw error;
    }
  }
}

function cellOf(row: string): { table: string; column: string; row: string } {
  return { table: 'sessions.session', column: 'client_sealed', row };
}
