import { IsIn, ValidateBy } from 'class-validator';
import { parseEmail } from './email-address.js';
import { isPasswordText, MAX_PASSWORD_BYTES } from './password.policy.js';

function IsEmailAddress(): PropertyDecorator {
  const validate = (value: unknown): boolean => typeof value === 'string' && parseEmail(value) !== undefined;
  return ValidateBy({
    name: 'isEmailAddress',
    validator: { validate, defaultMessage: () => '$property must be one e-mail address' },
  });
}

function IsPasswordText(): PropertyDecorator {
  const defaultMessage = (): string => `$property must be a text of 1 to ${MAX_PASSWORD_BYTES} bytes`;
  return ValidateBy({ name: 'isPasswordText', validator: { validate: isPasswordText, defaultMessage } });
}

/** The body of `POST /auth/login`. What is refused here never reaches the database or the hasher. */
export class SignInDto {
  @IsEmailAddress()
  readonly email!: string;

  /** Taken exactly as it is received: nothing is trimmed, cut or normalised (ASVS 6.2.8). */
  @IsPasswordText()
  readonly password!: string;

  /** How the session is handed over. There is no default: a body must say that it wants the token itself. */
  @IsIn(['token'], { message: '$property must be "token"' })
  readonly delivery!: 'token';
}
