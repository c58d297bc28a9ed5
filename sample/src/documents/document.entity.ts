import { Column, Entity, OneToMany, PrimaryColumn, type Relation } from 'typeorm';
import { DocumentShare } from './document-share.entity.js';

@Entity({ schema: 'documents', name: 'document' })
export class Document {
  @PrimaryColumn({ type: 'uuid' })
  id!: string;

  @Column({ name: 'owner_id', type: 'uuid' })
  ownerId!: string;

  @Column({ type: 'text' })
  title!: string;

  @Column({ type: 'text' })
  body!: string;

  @Column({ name: 'created_at', type: 'timestamptz' })
  createdAt!: Date;

  @Column({ name: 'updated_at', type: 'timestamptz' })
  updatedAt!: Date;

  @OneToMany(() => DocumentShare, (share) => share.document)
  shares!: Relation<DocumentShare[]>;
}
