import { IsOptional, IsUUID, Matches } from 'class-validator';

/** The query of `GET /admin/accounts`: texts, each in exactly one form. */
export class AccountsQueryDto {
  /** `next` of the page before. */
  @IsOptional()
  @IsUUID(undefined, { message: '$property must be the "next" of an earlier page' })
  readonly after?: string;

  /** 1 to 100; 50 when left out. */
  @IsOptional()
  @Matches(/^(?:[1-9]|[1-9]\d|100)$/, { message: '$property must be a whole number from 1 to 100' })
  readonly limit?: string;
}
