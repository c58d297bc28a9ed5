import { IsIn, Matches } from 'class-validator';
import { IsEmailAddress, IsFactorCode, IsPasswordText } from './credential.fields.js';
import { FACTOR_METHODS, type FactorMethod } from './second-factor.verifier.js';

/** The body of `POST /auth/login`. */
export class SignInDto {
  @IsEmailAddress()
  readonly email!: string;

  @IsPasswordText()
  readonly password!: string;

  /** How the session is handed over. There is no default: a body must say that it wants the token itself. */
  @IsIn(['token'], { message: '$property must be "token"' })
  readonly delivery!: 'token';
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
