import { Injectable } from '@nestjs/common';
import { InjectRepository } from '@nestjs/typeorm';
import { ResourceResolver, type ObjectRule, type Visibility } from 'nestjs-zero-trust';
import type { Repository } from 'typeorm';
import { Document } from './document.entity.js';
import { ownedDocument, readableDocument, writableDocument } from './document.rules.js';

/** The document that a request names. What the caller may not read does not exist for them. */
@Injectable()
export class ReadableDocument extends ResourceResolver<Document> {
  readonly rule: ObjectRule<Document> = readableDocument;

  constructor(@InjectRepository(Document) private readonly documents: Repository<Document>) {
    super();
  }

  load(id: string): Promise<Document | null> {
    return this.documents.findOne({ where: { id }, relations: { shares: true } });
  }
}

/** To be changed: who may read it and no more learns that it is there, and is refused. */
@Injectable()
export class WritableDocument extends ReadableDocument {
  override readonly rule = writableDocument;
  override readonly visible: Visibility<Document> = { permission: 'documents:read', rule: readableDocument };
}

/** To be deleted or shared. */
@Injectable()
export class OwnedDocument extends ReadableDocument {
  override readonly rule = ownedDocument;
  override readonly visible: Visibility<Document> = { permission: 'documents:read', rule: readableDocument };
}
