import { IsIn, ValidateIf } from 'class-validator';
import { IsFactorCode, IsPasswordText } from '../credential.fields.js';
import { FACTOR_METHODS, type FactorMethod } from '../second-factors/second-factor.verifier.js';

const METHODS = ['password', ...FACTOR_METHODS] as const;
const byPassword = ({ method }: StepUpDto): boolean => method === 'password';

/** The body of `POST /auth/step-up`: a password, or a code, as `method` says. */
export class StepUpDto {
  @IsIn(METHODS, { message: `$property must be one of ${METHODS.join(', ')}` })
  readonly method!: 'password' | FactorMethod;

  @ValidateIf(byPassword)
  @IsPasswordText()
  readonly password?: string;

  @ValidateIf((body: StepUpDto) => !byPassword(body))
  @IsFactorCode()
  readonly code?: string;
}
