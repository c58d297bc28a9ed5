import { objectRule } from 'nestjs-zero-trust';
import type { Invoice } from './invoice.entity.js';

/** Four eyes: whoever made an invoice does not approve it, whatever roles they hold. */
export const approvableInvoice = objectRule<Invoice>({
  type: 'invoice',
  name: 'made by somebody else',
  holds: (invoice, principal) => invoice.createdBy !== principal.subject,
});
