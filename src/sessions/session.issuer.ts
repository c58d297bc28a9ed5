import { Injectable } from '@nestjs/common';
import type { KeyObject } from 'node:crypto';
import { KeyRing } from '../encryption/key-ring.js';
import { AccessTokenMinter } from './access-tokens/access-token.minter.js';
import { writeRefreshToken, type RefreshToken } from './refresh/refresh-token.js';
import type { Session } from './session.js';
import { SessionsSettings } from './sessions.settings.js';
import { SigningKeys } from './signing-keys/signing-keys.js';

/** What a client gets: the proof for the next minutes, and what renews it. */
export interface IssuedTokens {
  readonly sessionId: string;
  readonly accessToken: string;
  readonly refreshToken: string;
  /** Seconds that the access token lives. */
  readonly expiresInSeconds: number;
}

/** Writes both tokens of a session. */
@Injectable()
export class SessionIssuer {
  /** Of refresh tokens: the same on every replica, and not in the database. */
  readonly refreshKey: KeyObject;

  constructor(
    private readonly keys: SigningKeys,
    private readonly minter: AccessTokenMinter,
    private readonly settings: SessionsSettings,
    keyRing: KeyRing,
  ) {
    this.refreshKey = keyRing.deriveSecret('sessions.refresh');
  }

  /**
   * Asked before a session moves on: a token that was used up, but not answered, has `refreshRetrySeconds` to come
   * again, and keys may be gone for longer. @throws ZeroTrustError `temporarily-unavailable` when no key can sign.
   */
  async assertCanSign(): Promise<void> {
    await this.keys.active();
  }

  /** @throws ZeroTrustError `temporarily-unavailable` when no key can sign. */
  async issue(session: Session, feedSeq: number, refresh: RefreshToken): Promise<IssuedTokens> {
    return {
      sessionId: session.id,
      accessToken: this.minter.mint(session, feedSeq, await this.keys.active()),
      refreshToken: writeRefreshToken(refresh, session.delivery, this.refreshKey),
      expiresInSeconds: this.settings.accessTokenTtlSeconds,
    };
  }
}
