import { Column, Entity, JoinColumn, ManyToOne, PrimaryColumn, type Relation } from 'typeorm';
import { Document } from './document.entity.js';

@Entity({ schema: 'documents', name: 'share' })
export class DocumentShare {
  @PrimaryColumn({ name: 'document_id', type: 'uuid' })
  documentId!: string;

  @PrimaryColumn({ name: 'account_id', type: 'uuid' })
  accountId!: string;

  @Column({ type: 'text' })
  access!: 'read' | 'write';

  @ManyToOne(() => Document, (document) => document.shares)
  @JoinColumn({ name: 'document_id' })
  document!: Relation<Document>;
}
