import { Injectable } from '@nestjs/common';
import { InjectRepository } from '@nestjs/typeorm';
import {
  AccessService,
  Clock,
  SecurityEvents,
  UnitOfWork,
  uuidV7,
  ZeroTrustError,
  type Principal,
} from 'nestjs-zero-trust';
import { Brackets, type Repository } from 'typeorm';
import { pageOf, readAhead, type Page, type PageQuery } from '../page.query.js';
import { Document } from './document.entity.js';
import { DocumentShare } from './document-share.entity.js';
import { ownedDocument, readableDocument, writableDocument } from './document.rules.js';
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
    private readonly access: AccessService,
    private readonly unitOfWork: UnitOfWork,
    private readonly events: SecurityEvents,
    private readonly clock: Clock,
  ) {}

  /** The same rule as `readableDocument`, as a filter: what the list leaves out, the item refuses. */
  async list(caller: Principal, page: PageQuery): Promise<Page<DocumentView>> {
    const query = this.documents.createQueryBuilder('document').orderBy('document.id').take(readAhead(page));
    if (page.after) query.where('document.id > :after', { after: page.after });
    if (!(await this.access.holds('documents:read-any'))) {
      const shared = query
        .subQuery()
        .select('share.documentId')
        .from(DocumentShare, 'share')
        .where('share.accountId = :caller');
      query.andWhere(
        new Brackets((either) =>
          either.where('document.ownerId = :caller').orWhere(`document.id IN ${shared.getQuery()}`),
        ),
        { caller: caller.subject },
      );
    }
    return pageOf(await query.getMany(), page, view);
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
    return view(document);
  }

  async read(id: string): Promise<DocumentView> {
    return view(await this.#readable(id));
  }

  async update(id: string, { title, body }: UpdateDocumentDto): Promise<DocumentView> {
    const object = await this.#readable(id);
    await this.access.require('documents:write', { rule: writableDocument, id, object, hidden: false });
    if (title === undefined && body === undefined) return view(object);
    return this.unitOfWork.run(async () => {
      await this.documents.update({ id }, { title, body, updatedAt: new Date(this.clock.nowMs()) });
      await this.#record('document.changed', id);
      return view(await this.#existing(id));
    });
  }

  async remove(id: string): Promise<void> {
    const object = await this.#readable(id);
    await this.access.require('documents:write', { rule: ownedDocument, id, object, hidden: false });
    await this.unitOfWork.run(async () => {
      await this.documents.delete({ id });
      await this.#record('document.deleted', id);
    });
  }

  async share(id: string, { accountId, access }: ShareDocumentDto): Promise<void> {
    const object = await this.#readable(id);
    await this.access.require('documents:share', { rule: ownedDocument, id, object, hidden: false });
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

  /** What the caller may not read does not exist for them. */
  #readable(id: string): Promise<Document> {
    const object = this.documents.findOne({ where: { id }, relations: { shares: true } });
    return this.access.require('documents:read', { rule: readableDocument, id, object });
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

function view(document: Omit<Document, 'shares'>): DocumentView {
  const { id, ownerId, title, body, createdAt, updatedAt } = document;
  return { id, ownerId, title, body, createdAt: createdAt.toISOString(), updatedAt: updatedAt.toISOString() };
}
