import { Body, Controller, Delete, Get, HttpCode, Patch, Post, Query } from '@nestjs/common';
import {
  CurrentFilter,
  CurrentPrincipal,
  CurrentResource,
  RequirePermission,
  type ListFilter,
  type Principal,
} from 'nestjs-zero-trust';
import { PageQuery, type Page } from '../page.query.js';
import type { Document } from './document.entity.js';
import { OwnedDocument, ReadableDocument, WritableDocument } from './document.resources.js';
import { readableDocument } from './document.rules.js';
import { CreateDocumentDto, ShareDocumentDto, UpdateDocumentDto } from './documents.dto.js';
import { DocumentsService, viewOf, type DocumentView } from './documents.service.js';

@Controller('documents')
export class DocumentsController {
  constructor(private readonly documents: DocumentsService) {}

  @Get()
  @RequirePermission('documents:read', { list: readableDocument })
  list(@CurrentFilter() filter: ListFilter<Document>, @Query() page: PageQuery): Promise<Page<DocumentView>> {
    return this.documents.list(filter, page);
  }

  @Post()
  @RequirePermission('documents:write')
  create(@CurrentPrincipal() caller: Principal, @Body() dto: CreateDocumentDto): Promise<DocumentView> {
    return this.documents.create(caller, dto);
  }

  @Get(':id')
  @RequirePermission('documents:read', { resource: ReadableDocument })
  read(@CurrentResource() document: Document): DocumentView {
    return viewOf(document);
  }

  @Patch(':id')
  @RequirePermission('documents:write', { resource: WritableDocument })
  update(@CurrentResource() document: Document, @Body() dto: UpdateDocumentDto): Promise<DocumentView> {
    return this.documents.update(document, dto);
  }

  @Delete(':id')
  @HttpCode(204)
  @RequirePermission('documents:write', { resource: OwnedDocument })
  remove(@CurrentResource() document: Document): Promise<void> {
    return this.documents.remove(document);
  }

  @Post(':id/shares')
  @HttpCode(204)
  @RequirePermission('documents:share', { resource: OwnedDocument })
  share(@CurrentResource() document: Document, @Body() dto: ShareDocumentDto): Promise<void> {
    return this.documents.share(document, dto);
  }
}
