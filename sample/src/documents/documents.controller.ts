import {
  Body,
  Controller,
  Delete,
  Get,
  HttpCode,
  Param,
  ParseUUIDPipe,
  Patch,
  Post,
  Query,
} from '@nestjs/common';
import { CurrentPrincipal, RequirePermission, type Principal } from 'nestjs-zero-trust';
import { PageQuery, type Page } from '../page.query.js';
import { CreateDocumentDto, ShareDocumentDto, UpdateDocumentDto } from './documents.dto.js';
import { DocumentsService, type DocumentView } from './documents.service.js';

@Controller('documents')
export class DocumentsController {
  constructor(private readonly documents: DocumentsService) {}

  @Get()
  @RequirePermission('documents:read')
  list(@CurrentPrincipal() caller: Principal, @Query() page: PageQuery): Promise<Page<DocumentView>> {
    return this.documents.list(caller, page);
  }

  @Post()
  @RequirePermission('documents:write')
  create(@CurrentPrincipal() caller: Principal, @Body() dto: CreateDocumentDto): Promise<DocumentView> {
    return this.documents.create(caller, dto);
  }

  @Get(':id')
  @RequirePermission('documents:read')
  read(@Param('id', ParseUUIDPipe) id: string): Promise<DocumentView> {
    return this.documents.read(id);
  }

  @Patch(':id')
  @RequirePermission('documents:write')
  update(@Param('id', ParseUUIDPipe) id: string, @Body() dto: UpdateDocumentDto): Promise<DocumentView> {
    return this.documents.update(id, dto);
  }

  @Delete(':id')
  @HttpCode(204)
  @RequirePermission('documents:write')
  remove(@Param('id', ParseUUIDPipe) id: string): Promise<void> {
    return this.documents.remove(id);
  }

  @Post(':id/shares')
  @HttpCode(204)
  @RequirePermission('documents:share')
  share(@Param('id', ParseUUIDPipe) id: string, @Body() dto: ShareDocumentDto): Promise<void> {
    return this.documents.share(id, dto);
  }
}
