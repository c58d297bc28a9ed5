import { IsString, IsUUID, Matches, MaxLength } from 'class-validator';

/** `POST /admin/access/explain` */
export class ExplainDto {
  @IsUUID()
  readonly accountId!: string;

  @IsString()
  @MaxLength(128)
  @Matches(/^[a-z][a-z0-9-]*:[a-z][a-z0-9-]*$/, { message: 'must be resource:action' })
  readonly permission!: string;
}
