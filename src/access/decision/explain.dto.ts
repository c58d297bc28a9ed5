import { IsString, IsUUID, Matches, MaxLength, ValidateIf } from 'class-validator';

/** `POST /admin/access/explain` */
export class ExplainDto {
  @IsUUID()
  readonly accountId!: string;

  @IsString()
  @MaxLength(128)
  @Matches(/^[a-z][a-z0-9-]*:[a-z][a-z0-9-]*$/, { message: 'must be resource:action' })
  readonly permission!: string;

  /** On which object, `type:id`. Left out, but not null: the permission alone. */
  @ValidateIf((_dto, value: unknown) => value !== undefined)
  @IsString()
  @MaxLength(320)
  @Matches(/^[a-z][a-z0-9-]*:\S+$/, { message: 'must be type:id, e.g. document:7' })
  readonly resource?: string;
}
