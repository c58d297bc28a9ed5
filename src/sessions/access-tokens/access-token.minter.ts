import { Injectable } from '@nestjs/common';
import { JwtService } from '@nestjs/jwt';
import { randomUUID } from 'node:crypto';
import { Clock } from '../../core/clock.js';
import type { AccessTokenClaims } from './access-token.claims.js';
import { ACCESS_TOKEN_TYPE } from './access-token.verifier.js';
import type { Session } from '../session.js';
import { SessionsSettings } from '../sessions.settings.js';
import type { SigningKey } from '../signing-keys/signing-key.js';

/** Makes access tokens (RFC 9068). What a token says of a session is what the session's row says. */
@Injectable()
export class AccessTokenMinter {
  constructor(
    private readonly jwt: JwtService,
    private readonly settings: SessionsSettings,
    private readonly clock: Clock,
  ) {}

  mint(session: Session, feedSeq: number, key: SigningKey): string {
    const iat = this.clock.nowSeconds();
    const claims: AccessTokenClaims = {
      iss: this.settings.issuer,
      sub: session.subject,
      aud: this.settings.audience,
      exp: iat + this.settings.accessTokenTtlSeconds,
      iat,
      jti: randomUUID(),
      sid: session.id,
      client_id: session.clientId,
      auth_time: session.authTime,
      acr: session.acr,
      amr: session.amr,
      seq: feedSeq,
    };
    const header = { alg: key.algorithm, typ: ACCESS_TOKEN_TYPE, kid: key.kid };
    return this.jwt.sign(claims, { algorithm: key.algorithm, privateKey: key.privateKey, header });
  }
}
