import { IsPasswordText } from '../credential.fields.js';

/** The body of `POST /auth/password/change`. What the new one has to be is judged once the current one is proved. */
export class ChangePasswordDto {
  @IsPasswordText()
  readonly currentPassword!: string;

  @IsPasswordText()
  readonly newPassword!: string;
}
