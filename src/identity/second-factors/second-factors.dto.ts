import { IsTotpCode } from '../credential.fields.js';

/** The body of `POST /auth/mfa/totp/confirm`: one form and no other. */
export class ConfirmTotpDto {
  @IsTotpCode()
  readonly code!: string;
}
