import { ValidateBy, type ValidationArguments, type ValidationOptions } from 'class-validator';
import { MAX_EMAIL_LENGTH, parseEmail } from './accounts/email-address.js';
import { isPasswordText, MAX_PASSWORD_BYTES } from './passwords/password.policy.js';
import { MAX_RECOVERY_INPUT, parseRecoveryCode } from './second-factors/recovery-code.js';
import { isTotpCode } from './second-factors/totp.js';

/** What bodies that prove somebody are made of. What is refused here never reaches the database or the hasher. */

export function IsEmailAddress(): PropertyDecorator {
  const validate = (value: unknown): boolean => typeof value === 'string' && parseEmail(value) !== undefined;
  return ValidateBy(
    {
      name: 'isEmailAddress',
      validator: { validate, defaultMessage: () => '$property must be one e-mail address' },
    },
    documented({ format: 'email', maxLength: MAX_EMAIL_LENGTH }),
  );
}

/** A password is taken exactly as it is received: nothing is trimmed, cut or normalised (ASVS 6.2.8). */
export function IsPasswordText(): PropertyDecorator {
  const defaultMessage = (): string => `$property must be a text of 1 to ${MAX_PASSWORD_BYTES} bytes`;
  return ValidateBy(
    { name: 'isPasswordText', validator: { validate: isPasswordText, defaultMessage } },
    documented({ minLength: 1, maxLength: MAX_PASSWORD_BYTES }),
  );
}

export function IsTotpCode(): PropertyDecorator {
  const defaultMessage = (): string => '$property must be six digits';
  return ValidateBy(
    { name: 'isTotpCode', validator: { validate: isTotpCode, defaultMessage } },
    documented({ pattern: '^[0-9]{6}$' }),
  );
}

/** The code of whatever `method` of the same body says. */
export function IsFactorCode(): PropertyDecorator {
  const isTotp = (given: ValidationArguments | undefined): boolean =>
    (given?.object as { method?: unknown } | undefined)?.method === 'totp';
  return ValidateBy(
    {
      name: 'isFactorCode',
      validator: {
        validate: (value, given) =>
          isTotp(given)
            ? isTotpCode(value)
            : typeof value === 'string' && parseRecoveryCode(value) !== undefined,
        defaultMessage: (given) =>
          isTotp(given) ? '$property must be six digits' : '$property must be a recovery code',
      },
    },
    documented({
      maxLength: MAX_RECOVERY_INPUT,
      description: 'must be six digits with the method `totp`, else a recovery code',
    }),
  );
}

/** What the rule says in JSON Schema, for whoever describes the interface. */
function documented(jsonSchema: Readonly<Record<string, unknown>>): ValidationOptions {
  return { context: { jsonSchema } };
}
