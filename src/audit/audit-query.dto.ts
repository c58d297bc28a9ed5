import { IsOptional, Matches, MaxLength, ValidateBy } from 'class-validator';
import { decodeCursor, isCalendarTime } from './audit.cursor.js';

const MAX_CURSOR_LENGTH = 128;
const LIMIT = /^(?:[1-9]|[1-9]\d|100)$/;
const ID = '[\\x21-\\x7e]{1,128}';
const WORD = '[a-z][a-z0-9]*(?:-[a-z0-9]+)*';
const MOMENT = /^[12]\d{3}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,6})?Z$/;

function IsMoment(): PropertyDecorator {
  const validate = (value: unknown): boolean =>
    typeof value === 'string' && MOMENT.test(value) && isCalendarTime(value);
  return ValidateBy(
    {
      name: 'isMoment',
      validator: { validate, defaultMessage: () => '$property must be a UTC time like 2026-01-31T12:00:00Z' },
    },
    { context: { jsonSchema: { pattern: MOMENT.source } } },
  );
}

function IsCursor(): PropertyDecorator {
  const validate = (value: unknown): boolean =>
    typeof value === 'string' && value.length <= MAX_CURSOR_LENGTH && decodeCursor(value) !== undefined;
  return ValidateBy(
    {
      name: 'isCursor',
      validator: { validate, defaultMessage: () => '$property must be the "next" of an earlier page' },
    },
    { context: { jsonSchema: { maxLength: MAX_CURSOR_LENGTH } } },
  );
}

/** The query of `GET /admin/audit`: everything is a text, in exactly one form, given at most once. */
export class AuditQueryDto {
  /** `next` of the page before. */
  @IsOptional()
  @IsCursor()
  readonly after?: string;

  /** 1 to 100; 50 when left out. */
  @IsOptional()
  @Matches(LIMIT, { message: '$property must be a whole number from 1 to 100' })
  readonly limit?: string;

  /** `sub` of who did it. */
  @IsOptional()
  @Matches(new RegExp(`^${ID}$`), { message: '$property must be an id' })
  readonly actor?: string;

  /** `thing.happened` */
  @IsOptional()
  @MaxLength(64, { message: '$property must be an action like session.opened' })
  @Matches(new RegExp(`^${WORD}\\.${WORD}$`), { message: '$property must be an action like session.opened' })
  readonly action?: string;

  /** What it was done to: `type` or `type:id`. */
  @IsOptional()
  @MaxLength(200, { message: '$property must be a type, or type:id' })
  @Matches(new RegExp(`^${WORD}(?::${ID})?$`), { message: '$property must be a type, or type:id' })
  readonly resource?: string;

  /** Recorded at this time or later. */
  @IsOptional()
  @IsMoment()
  readonly from?: string;

  /** Recorded before this time. */
  @IsOptional()
  @IsMoment()
  readonly to?: string;
}
