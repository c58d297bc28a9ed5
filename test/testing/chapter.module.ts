import { Controller, Delete, Get, HttpCode, Injectable, Module } from '@nestjs/common';
import {
  CurrentResource,
  definePermissions,
  is,
  objectRule,
  Public,
  RequireAssurance,
  RequirePermission,
  ResourceResolver,
  SUBJECT,
} from 'nestjs-zero-trust';

export const permissions = definePermissions({ documents: ['read', 'write'] });

export const roles = {
  viewer: { permissions: ['documents:read'] },
  editor: { permissions: ['documents:write'], inherits: ['viewer'] },
} as const;

export interface Document {
  readonly id: string;
  readonly ownerId: string;
}

/** Where documents are kept. Whatever loads them in production, a test puts this in its place. */
@Injectable()
export class Documents {
  readonly byId = new Map<string, Document>();
}

@Injectable()
export class OwnDocument extends ResourceResolver<Document> {
  readonly rule = objectRule<Document>({ type: 'document', name: 'owned', when: is('ownerId', SUBJECT) });

  constructor(private readonly documents: Documents) {
    super();
  }

  load(id: string): Promise<Document | undefined> {
    return Promise.resolve(this.documents.byId.get(id));
  }
}

@Controller('documents')
export class DocumentsController {
  constructor(private readonly documents: Documents) {}

  @Get('formats')
  @Public()
  formats(): readonly string[] {
    return ['text/plain'];
  }

  @Get(':id')
  @RequirePermission('documents:read', { resource: OwnDocument })
  read(@CurrentResource() document: Document): Document {
    return document;
  }

  @Delete(':id')
  @HttpCode(204)
  @RequirePermission('documents:write', { resource: OwnDocument })
  @RequireAssurance({ acr: 'aal2', maxAgeSeconds: 600 })
  remove(@CurrentResource() { id }: Document): void {
    this.documents.byId.delete(id);
  }
}

@Module({ controllers: [DocumentsController], providers: [Documents, OwnDocument] })
export class DocumentsModule {}
