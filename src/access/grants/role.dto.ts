import {
  ArrayMaxSize,
  ArrayUnique,
  IsArray,
  IsString,
  Matches,
  MaxLength,
  ValidateIf,
} from 'class-validator';
import type { Permission } from '../../core/permission.js';

/** May be left out, but not null: `@IsOptional()` would wave null through. */
const MayBeAbsent = (): PropertyDecorator => ValidateIf((_dto, value: unknown) => value !== undefined);

const ROLE_NAME = /^[a-z][a-z0-9]*(?:-[a-z0-9]+)*$/;
const ROLE_NAME_RULE = { message: 'must be lower-case words joined by "-"' };
const EACH_ROLE_NAME_RULE = { ...ROLE_NAME_RULE, each: true };

/** `:name` of a role. */
export class RoleNameDto {
  @IsString()
  @MaxLength(64)
  @Matches(ROLE_NAME, ROLE_NAME_RULE)
  readonly name!: string;
}

/** `PUT /admin/roles/:name`: everything that the role says from now on. */
export class PutRoleDto {
  @IsArray()
  @ArrayMaxSize(200)
  @ArrayUnique()
  @IsString({ each: true })
  @MaxLength(128, { each: true })
  readonly permissions!: Permission[];

  @MayBeAbsent()
  @IsArray()
  @ArrayMaxSize(50)
  @ArrayUnique()
  @Matches(ROLE_NAME, EACH_ROLE_NAME_RULE)
  @MaxLength(64, { each: true })
  readonly inherits?: string[];

  @MayBeAbsent()
  @IsArray()
  @ArrayMaxSize(50)
  @ArrayUnique()
  @Matches(ROLE_NAME, EACH_ROLE_NAME_RULE)
  @MaxLength(64, { each: true })
  readonly mayGrant?: string[];
}
