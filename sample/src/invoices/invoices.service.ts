import { Injectable } from '@nestjs/common';
import { InjectRepository } from '@nestjs/typeorm';
import {
  AccessService,
  Clock,
  FieldCipher,
  SecurityEvents,
  UnitOfWork,
  uuidV7,
  ZeroTrustError,
  type Principal,
} from 'nestjs-zero-trust';
import { IsNull, MoreThan, type Repository } from 'typeorm';
import { pageOf, readAhead, type Page, type PageQuery } from '../page.query.js';
import { Invoice } from './invoice.entity.js';
import { invoiceFields } from './invoice.rules.js';
import type { InvoiceView } from './invoice.view.js';
import type { CreateInvoiceDto } from './invoices.dto.js';

@Injectable()
export class InvoicesService {
  constructor(
    @InjectRepository(Invoice) private readonly invoices: Repository<Invoice>,
    private readonly access: AccessService,
    private readonly cipher: FieldCipher,
    private readonly unitOfWork: UnitOfWork,
    private readonly events: SecurityEvents,
    private readonly clock: Clock,
  ) {}

  async list(page: PageQuery): Promise<Page<InvoiceView>> {
    const rows = await this.invoices.find({
      where: page.after ? { id: MoreThan(page.after) } : {},
      order: { id: 'ASC' },
      take: readAhead(page),
    });
    const views = new Map(await Promise.all(rows.map(async (row) => [row, await this.viewOf(row)] as const)));
    return pageOf(rows, page, (row) => views.get(row) as InvoiceView);
  }

  async create(caller: Principal, dto: CreateInvoiceDto): Promise<InvoiceView> {
    const createdAt = new Date(this.clock.nowMs());
    const id = uuidV7(createdAt.getTime());
    const invoice: Invoice = {
      id,
      createdBy: caller.subject,
      clientName: dto.clientName,
      iban: await this.cipher.sealText(ibanOf(id), dto.iban.replaceAll(' ', '')),
      amountCents: String(dto.amountCents),
      currency: dto.currency,
      createdAt,
      approvedBy: null,
      approvedAt: null,
    };
    await this.unitOfWork.run(async () => {
      await this.invoices.insert(invoice);
      await this.events.publish({
        action: 'invoice.created',
        outcome: 'success',
        delivery: 'same-transaction',
        target: { type: 'invoice', id },
      });
    });
    return this.viewOf(invoice);
  }

  /** Once: of two who approve it at the same moment, the second is told so. */
  async approve(caller: Principal, { id }: Invoice): Promise<InvoiceView> {
    await this.unitOfWork.run(async () => {
      const { affected } = await this.invoices.update(
        { id, approvedBy: IsNull() },
        { approvedBy: caller.subject, approvedAt: new Date(this.clock.nowMs()) },
      );
      if (affected !== 1) throw new ZeroTrustError('conflict', { detail: 'the invoice is approved already' });
      await this.events.publish({
        action: 'invoice.approved',
        outcome: 'success',
        delivery: 'same-transaction',
        target: { type: 'invoice', id },
      });
    });
    return this.viewOf(await this.#existing(id));
  }

  async #existing(id: string): Promise<Invoice> {
    const invoice = await this.invoices.findOneBy({ id });
    if (!invoice) throw new ZeroTrustError('not-found', { detail: 'there is no such invoice' });
    return invoice;
  }

  /** As the caller may see it. */
  async viewOf(invoice: Invoice): Promise<InvoiceView> {
    const { id, createdBy, clientName, currency } = invoice;
    const whole: InvoiceView = {
      id,
      createdBy,
      clientName,
      iban: await this.cipher.openText(ibanOf(id), invoice.iban),
      amountCents: Number(invoice.amountCents),
      currency,
      createdAt: invoice.createdAt.toISOString(),
      approvedBy: invoice.approvedBy,
      approvedAt: invoice.approvedAt?.toISOString() ?? null,
    };
    // No property is permitted to nobody: masked ones are there too.
    return (await this.access.reveal(invoiceFields, whole)) as InvoiceView;
  }
}

const ibanOf = (row: string): { table: string; column: string; row: string } => ({
  table: 'invoices.invoice',
  column: 'iban',
  row,
});
