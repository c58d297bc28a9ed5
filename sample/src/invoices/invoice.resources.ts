import { Injectable } from '@nestjs/common';
import { InjectRepository } from '@nestjs/typeorm';
import { ResourceResolver, type ObjectRule, type Visibility } from 'nestjs-zero-trust';
import type { Repository } from 'typeorm';
import { Invoice } from './invoice.entity.js';
import { approvableInvoice, everyInvoice } from './invoice.rules.js';

/** The invoice that a request names. */
@Injectable()
export class ReadableInvoice extends ResourceResolver<Invoice> {
  readonly rule: ObjectRule<Invoice> = everyInvoice;

  constructor(@InjectRepository(Invoice) private readonly invoices: Repository<Invoice>) {
    super();
  }

  load(id: string): Promise<Invoice | null> {
    return this.invoices.findOneBy({ id });
  }
}

/** To be approved: whoever may read invoices is told that it is there, and not theirs to approve. */
@Injectable()
export class ApprovableInvoice extends ReadableInvoice {
  override readonly rule = approvableInvoice;
  override readonly visible: Visibility<Invoice> = { permission: 'invoices:read', rule: everyInvoice };
}
