import { IsOptional, IsString, MaxLength } from 'class-validator';
import { REFRESH_TOKEN_LENGTH } from './refresh-token.js';

/** A refresh token in the body, for clients that were handed theirs in one. Left out: it comes as a cookie. */
export class RefreshDto {
  @IsOptional()
  @IsString()
  @MaxLength(REFRESH_TOKEN_LENGTH, { message: '$property is too long to be a refresh token' })
  readonly refreshToken?: string;
}
