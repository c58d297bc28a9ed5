import { Column, Entity, PrimaryColumn } from 'typeorm';

@Entity({ schema: 'invoices', name: 'invoice' })
export class Invoice {
  @PrimaryColumn({ type: 'uuid' })
  id!: string;

  @Column({ name: 'created_by', type: 'uuid' })
  createdBy!: string;

  @Column({ name: 'client_name', type: 'text' })
  clientName!: string;

  /** Sealed; only InvoicesService opens it. */
  @Column({ type: 'bytea' })
  iban!: Buffer;

  /** PostgreSQL's bigint arrives as text. */
  @Column({ name: 'amount_cents', type: 'bigint' })
  amountCents!: string;

  @Column({ type: 'char', length: 3 })
  currency!: string;

  @Column({ name: 'created_at', type: 'timestamptz' })
  createdAt!: Date;

  @Column({ name: 'approved_by', type: 'uuid', nullable: true })
  approvedBy!: string | null;

  @Column({ name: 'approved_at', type: 'timestamptz', nullable: true })
  approvedAt!: Date | null;
}
