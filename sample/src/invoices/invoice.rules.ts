import { fieldRules, is, not, objectRule, SUBJECT } from 'nestjs-zero-trust';
import type { Invoice } from './invoice.entity.js';
import type { InvoiceView } from './invoice.view.js';

/** Everybody who reads invoices reads all of them. */
export const everyInvoice = objectRule<Invoice>({ type: 'invoice', name: 'every', holds: () => true });

/** Four eyes: whoever made an invoice does not approve it, whatever roles they hold. */
export const approvableInvoice = objectRule<Invoice>({
  type: 'invoice',
  name: 'made by somebody else',
  when: not(is('createdBy', SUBJECT)),
});

/** Who sees what of an invoice (ASVS 8.1.2). Nobody sorts or filters by any of it. */
export const invoiceFields = fieldRules<InvoiceView>({
  type: 'invoice',
  fields: {
    id: { read: true },
    createdBy: { read: true },
    clientName: { read: true },
    iban: { read: 'invoices:read-iban', mask: (iban) => `••••${iban.slice(-4)}` },
    amountCents: { read: true },
    currency: { read: true },
    createdAt: { read: true },
    approvedBy: { read: true },
    approvedAt: { read: true },
  },
});
