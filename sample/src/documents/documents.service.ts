import { Injectable } from '@nestjs/common';
import { InjectRepository } from '@nestjs/typeorm';
import {
  Clock,
  SecurityEvents,
  UnitOfWork,
  uuidV7,
  ZeroTrustError,
  type ListFilter,
  type Principal,
} from 'nestjs-zero-trust';
import type { Repository } from 'typeorm';
import { pageOf, readAhead, type Page, type PageQuery } from '../page.query.js';
import { Document } from './document.entity.js';
import { DocumentShare } from './document-share.entity.js';
import type { CreateDocumentDto, ShareDocumentDto, UpdateDocumentDto } from './documents.dto.js';

export interface DocumentView {
  readonly id: string;
  readonly ownerId: string;
  readonly title: string;
  readonly body: string;
  readonly createdAt: string;
  readonly updatedAt: string;
}

@Injectable()
export class DocumentsService {
  constructor(
    @InjectRepository(Document) private readonly documents: Repository<Document>,
    @InjectRepository(DocumentShare) private readonly shares: Repository<DocumentShare>,
    private readonly unitOfWork: UnitOfWork,
    private readonly events: SecurityEvents,
    private readonly clock: Clock,
  ) {}

  async list(filter: ListFilter<Document>, page: PageQuery): Promise<Page<DocumentView>> {
    const query = this.documents.createQueryBuilder('document').orderBy('document.id').take(readAhead(page));
    if (page.after) query.where('document.id > :after', { after: page.after });
    return pageOf(await filter.applyTo(query).getMany(), page, viewOf);
  }

  async create(caller: Principal, { title, body }: CreateDocumentDto): Promise<DocumentView> {
    const now = new Date(this.clock.nowMs());
    const document = {
      id: uuidV7(now.getTime()),
      ownerId: caller.subject,
      title,
      body,
      createdAt: now,
      updatedAt: now,
    };
    await this.unitOfWork.run(async () => {
      await this.documents.insert(document);
      await this.#record('document.created', document.id);
    });
    return viewOf(document);
  }

  async update(document: Document, { title, body }: UpdateDocumentDto): Promise<DocumentView> {
    const { id } = document;
    if (title === undefined && body === undefined) return viewOf(document);
    return this.unitOfWork.run(async () => {
      await this.documents.update({ id }, { title, body, updatedAt: new Date(this.clock.nowMs()) });
      await this.#record('document.changed', id);
      return viewOf(await this.#existing(id));
    });
  }

  async remove({ id }: Document): Promise<void> {
    await this.unitOfWork.run(async () => {
      await this.documents.delete({ id });
      await this.#record('document.deleted', id);
    });
  }

  async share({ id }: Document, { accountId, access }: ShareDocumentDto): Promise<void> {
    await this.unitOfWork.run(async () => {
      await this.#existing(id);
      await this.shares
        .createQueryBuilder()
        .insert()
        .values({ documentId: id, accountId, access })
        .orUpdate(['access'], ['document_id', 'account_id'])
        .execute();
      await this.#record('document.shared', id, { with: accountId, access });
    });
  }

  /** Somebody else may have deleted it since it was decided on. Locked, so that it stays until we commit. */
  async #existing(id: string): Promise<Document> {
    const document = await this.documents.findOne({ where: { id }, lock: { mode: 'pessimistic_write' } });
    if (!document) throw new ZeroTrustError('not-found', { detail: 'the document was deleted meanwhile' });
    return document;
  }

  #record(action: `document.${string}`, id: string, detail?: Record<string, string>): Promise<void> {
    return this.events.publish({
      action,
      outcome: 'success',
      delivery: 'same-transaction',
      target: { type: 'document', id },
      detail,
    });
  }
}

export function viewOf(document: Omit<Document, 'shares'>): DocumentView {
  const { id, ownerId, title, body, createdAt, updatedAt } = document;
  return { id, ownerId, title, body, createdAt: createdAt.toISOString(), updatedAt: updatedAt.toISOString() };
}
