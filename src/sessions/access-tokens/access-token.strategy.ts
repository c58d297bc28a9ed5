import { PassportStrategy } from '@nestjs/passport';
import passport from 'passport';
import { Strategy } from 'passport-jwt';
import { isOwnEncodingOf } from './compact-jws.js';
import { readClaims, type AccessTokenClaims, type ExpectedClaims } from './access-token.claims.js';
import { invalidToken } from '../sessions.errors.js';
import type { VerificationKey } from '../signing-keys/signing-key.js';

/** One token in strict compact form, with the key that its header names and that we know. */
export interface PresentedToken {
  readonly token: string;
  readonly payload: Buffer;
  readonly key: VerificationKey;
}

/**
 * passport-jwt for one token, one key and one instant; it costs half a microsecond to make. So the algorithm comes
 * from the key, the time from our clock, and nothing is shared: Passport's own registry is one per process, and two
 * applications in it would answer for each other.
 */
export class AccessTokenStrategy extends PassportStrategy(Strategy) {
  readonly #presented: PresentedToken;
  readonly #expected: ExpectedClaims;

  constructor(presented: PresentedToken, expected: ExpectedClaims) {
    super({
      jwtFromRequest: () => presented.token,
      // A key object: as PEM text it would be parsed again for every token, and its type would be guessed from it.
      secretOrKey: presented.key.publicKey as unknown as Buffer,
      algorithms: [presented.key.algorithm],
      issuer: expected.issuer,
      audience: expected.audience,
      // eslint-disable-next-line @typescript-eslint/no-deprecated -- the only way to hand over our own clock
      jsonWebTokenOptions: {
        clockTimestamp: expected.nowSeconds,
        clockTolerance: expected.clockToleranceSeconds,
      },
    });
    this.#presented = presented;
    this.#expected = expected;
  }

  /** Where the base class would register itself in the process-wide Passport. */
  getPassportInstance(): passport.Authenticator {
    return new passport.Passport();
  }

  /** Called by Passport once the signature holds. @throws ZeroTrustError `invalid-credentials`. */
  validate(payload: unknown): AccessTokenClaims {
    if (!isOwnEncodingOf(payload, this.#presented.payload)) throw invalidToken('the claims are malformed');
    return readClaims(payload, this.#expected);
  }

  /** Runs without a request: what it works on was given to it. @throws whatever Passport fails with. */
  run(): Promise<AccessTokenClaims> {
    return new Promise((resolve, reject) => {
      this.success = (claims: unknown) => {
        resolve(claims as AccessTokenClaims);
      };
      this.fail = this.error = reject;
      this.authenticate({} as never);
    });
  }
}
