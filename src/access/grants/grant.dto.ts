import { IsISO8601, IsNotEmpty, IsString, Matches, MaxLength, ValidateIf } from 'class-validator';

/** May be left out, but not null: `@IsOptional()` would wave null through. */
const MayBeAbsent = (): PropertyDecorator => ValidateIf((_dto, value: unknown) => value !== undefined);

const ZONED = /(?:Z|[+-]\d{2}:\d{2})$/;
const ZONED_RULE = { message: 'must say its offset from UTC, e.g. 2030-01-31T12:00:00Z' };

/** `POST /admin/accounts/:id/grants` */
export class CreateGrantDto {
  @IsString()
  @IsNotEmpty()
  @MaxLength(64)
  readonly role!: string;

  @IsString()
  @Matches(/\S/, { message: 'must say why' })
  @MaxLength(500)
  readonly reason!: string;

  /** Where it counts, `kind:id`. Left out: everywhere. */
  @MayBeAbsent()
  @IsString()
  @MaxLength(128)
  @Matches(/^[a-z][a-z0-9-]*:[A-Za-z0-9][A-Za-z0-9._~-]*$/, { message: 'must be kind:id, e.g. project:7' })
  readonly scope?: string;

  /** Until when it counts. Left out: until it is revoked. */
  @MayBeAbsent()
  @IsISO8601({ strict: true, strictSeparator: true })
  @Matches(ZONED, ZONED_RULE)
  @MaxLength(40)
  readonly expiresAt?: string;

  /** From when on it counts. Left out: at once. */
  @MayBeAbsent()
  @IsISO8601({ strict: true, strictSeparator: true })
  @Matches(ZONED, ZONED_RULE)
  @MaxLength(40)
  readonly notBefore?: string;
}
