import { Module } from '@nestjs/common';
import { DatabaseModule } from 'nestjs-zero-trust';
import { Document } from './document.entity.js';
import { OwnedDocument, ReadableDocument, WritableDocument } from './document.resources.js';
import { DocumentShare } from './document-share.entity.js';
import { DocumentsController } from './documents.controller.js';
import { DocumentsService } from './documents.service.js';

@Module({
  imports: [DatabaseModule.forFeature([Document, DocumentShare])],
  controllers: [DocumentsController],
  providers: [DocumentsService, ReadableDocument, WritableDocument, OwnedDocument],
})
export class DocumentsModule {}
