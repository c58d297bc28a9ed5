/** An invoice as it is shown. */
export interface InvoiceView {
  readonly id: string;
  readonly createdBy: string;
  readonly clientName: string;
  /** Whole for who holds `invoices:read-iban`, else its last four characters (`invoiceFields`). */
  readonly iban: string;
  readonly amountCents: number;
  readonly currency: string;
  readonly createdAt: string;
  readonly approvedBy: string | null;
  readonly approvedAt: string | null;
}
