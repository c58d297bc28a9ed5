import {
  Column,
  DataSource,
  DeleteDateColumn,
  Entity,
  JoinColumn,
  ManyToOne,
  OneToMany,
  PrimaryColumn,
  type ObjectLiteral,
  type Relation,
  type SelectQueryBuilder,
} from 'typeorm';
import { decide } from '../../../src/access/decision/decide.js';
import { HeldTable, placesOf } from '../../../src/access/decision/held.js';
import { ListFilter } from '../../../src/access/objects/list-filter.js';
import type { ObjectRule } from '../../../src/access/objects/object-rule.js';
import type { Permission } from '../../../src/core/permission.js';
import type { TestDatabase } from '../../support/database.js';
import { asOwner } from '../access.fixtures.js';

export class Place {
  @Column({ type: 'text', nullable: true })
  city!: string | null;
}

/** One column of every type that a condition compares, none named as its property is, each of them nullable. */
@Entity({ schema: 'list_test', name: 'Folder of notes' })
export class Folder {
  @PrimaryColumn({ type: 'uuid' })
  id!: string;

  @Column({ name: 'owner_id', type: 'uuid', nullable: true })
  ownerId!: string | null;

  @Column({ name: 'The title', type: 'text', nullable: true })
  title!: string | null;

  @Column({ name: 'rank_', type: 'int', nullable: true })
  rank!: number | null;

  @Column({ name: 'size_', type: 'bigint', nullable: true })
  size!: string | null;

  @Column({ name: 'is_open', type: 'boolean', nullable: true })
  isOpen!: boolean | null;

  @Column({ name: 'state_', type: 'enum', enum: ['draft', 'done'], nullable: true })
  state!: 'draft' | 'done' | null;

  @Column({ name: 'project_id', type: 'varchar', nullable: true })
  projectId!: string | null;

  @Column({ name: 'tenant_id', type: 'text', nullable: true })
  tenantId!: string | null;

  @Column({ type: 'char', length: 8, nullable: true })
  padded!: string | null;

  @Column({ type: 'numeric', nullable: true })
  amount!: string | null;

  @Column({ type: 'simple-array', nullable: true })
  tags!: string[] | null;

  @Column({ type: 'text', array: true, nullable: true })
  words!: string[] | null;

  @Column({
    type: 'text',
    nullable: true,
    transformer: {
      to: (value: string | null) => value,
      from: (value: string | null) => value?.trim() ?? null,
    },
  })
  trimmed!: string | null;

  @Column(() => Place)
  place!: Place;

  @DeleteDateColumn({ name: 'deleted_at', type: 'timestamptz' })
  deletedAt!: Date | null;

  @OneToMany(() => Note, (note) => note.folder)
  notes!: Relation<Note[]>;
}

@Entity({ schema: 'list_test', name: 'note' })
export class Note {
  @PrimaryColumn({ type: 'uuid' })
  id!: string;

  @Column({ name: 'folder_id', type: 'uuid' })
  folderId!: string;

  @Column({ name: 'account_id', type: 'uuid', nullable: true })
  accountId!: string | null;

  @Column({ name: 'way', type: 'text', nullable: true })
  access!: string | null;

  @DeleteDateColumn({ name: 'deleted_at', type: 'timestamptz' })
  deletedAt!: Date | null;

  @ManyToOne(() => Folder, (folder) => folder.notes)
  @JoinColumn({ name: 'folder_id' })
  folder!: Relation<Folder>;

  @OneToMany(() => Mark, (mark) => mark.note)
  marks!: Relation<Mark[]>;
}

@Entity({ schema: 'list_test', name: 'mark' })
export class Mark {
  @PrimaryColumn({ type: 'int' })
  id!: number;

  @Column({ type: 'text', nullable: true })
  colour!: string | null;

  @ManyToOne(() => Note, (note) => note.marks)
  @JoinColumn({ name: 'note_id' })
  note!: Relation<Note>;
}

export const ENTITIES = [Folder, Note, Mark];

/** The tables of the entities above, in a schema of their own. */
export async function listDatabase(database: TestDatabase): Promise<DataSource> {
  await asOwner(database, 'CREATE SCHEMA list_test');
  const source = new DataSource({
    type: 'postgres',
    url: database.ownerUrl,
    entities: ENTITIES,
    synchronize: true,
    // What is asked of the database must be one statement, whatever is put into it.
    poolSize: 2,
  });
  return source.initialize();
}

export const places = placesOf(['folders:read', 'folders:write', 'folders:read-any']);

/** Who asks for what: the same for the item and for the list. */
export interface Asked<T> {
  readonly rule: ObjectRule<T>;
  readonly subject: string;
  readonly permissions?: readonly string[];
  /** Scope → permissions, `''` being everywhere. @default 'folders:read' everywhere */
  readonly held?: Readonly<Record<string, readonly string[]>>;
  readonly tenant?: string | undefined;
}

const contextOf = <T>({ subject, permissions, held, tenant }: Asked<T>) => ({
  principal: { kind: 'account', subject } as const,
  permissions: permissions ?? ['folders:read'],
  held: new HeldTable(places, new Map(Object.entries(held ?? { '': ['folders:read'] }))),
  tenant,
});

export function filterOf<T>(asked: Asked<T>): ListFilter<T> {
  return new ListFilter(asked.rule, contextOf(asked));
}

/** Whether `decide()` grants it of one object. */
export function isGranted<T>(asked: Asked<T>, object: T): boolean {
  const { principal, permissions, held, tenant } = contextOf(asked);
  return decide({
    principal,
    permission: permissions as readonly Permission[],
    resource: { rule: asked.rule, object },
    context: { held, tenant },
  }).granted;
}

/** The ids that the filter lets through, sorted. */
export async function idsOf<T extends ObjectLiteral & { id: unknown }>(
  query: SelectQueryBuilder<T>,
): Promise<readonly string[]> {
  return (await query.getMany()).map(({ id }) => String(id)).sort();
}
