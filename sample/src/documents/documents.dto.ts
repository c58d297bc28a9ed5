import { IsIn, IsNotEmpty, IsString, IsUUID, MaxLength } from 'class-validator';
import { MayBeAbsent } from '../page.query.js';

export class CreateDocumentDto {
  @IsString()
  @IsNotEmpty()
  @MaxLength(200)
  title!: string;

  @IsString()
  @MaxLength(20_000)
  body!: string;
}

export class UpdateDocumentDto {
  @MayBeAbsent()
  @IsString()
  @IsNotEmpty()
  @MaxLength(200)
  title?: string;

  @MayBeAbsent()
  @IsString()
  @MaxLength(20_000)
  body?: string;
}

export class ShareDocumentDto {
  @IsUUID()
  accountId!: string;

  @IsIn(['read', 'write'])
  access!: 'read' | 'write';
}
