import { IsIn, IsOptional, Matches } from 'class-validator';
import { SESSION_DELIVERIES, type SessionDelivery } from '../../sessions/session.js';
import { IsEmailAddress, IsFactorCode, IsPasswordText } from '../credential.fields.js';
import { FACTOR_METHODS, type FactorMethod } from '../second-factors/second-factor.verifier.js';

/** The body of `POST /auth/login`. */
export class SignInDto {
  @IsEmailAddress()
  readonly email!: string;

  @IsPasswordText()
  readonly password!: string;

  /** How the session is handed over; in cookies when it is left out. */
  @IsOptional()
  @IsIn(SESSION_DELIVERIES, { message: `$property must be ${SESSION_DELIVERIES.join(' or ')}` })
  readonly delivery?: SessionDelivery;
}

/** The body of `POST /auth/login/mfa`. */
export class SignInChallengeDto {
  @Matches(/^[A-Za-z0-9_-]{43}$/, { message: '$property must be the one of the sign-in' })
  readonly challengeId!: string;

  @IsIn(FACTOR_METHODS, { message: `$property must be ${FACTOR_METHODS.join(' or ')}` })
  readonly method!: FactorMethod;

  @IsFactorCode()
  readonly code!: string;
}
