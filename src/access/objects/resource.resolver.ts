import type { Permission } from '../../core/permission.js';
import type { ObjectRule } from './object-rule.js';

/** To whom a refused object may be shown as existing: whoever may do this to it gets 403 instead of 404. */
export interface Visibility<T> {
  readonly permission: Permission;
  readonly rule: ObjectRule<T>;
}

/**
 * Loads the object that a handler is asked for, before it runs, so that it is decided on in one place (ASVS 8.2.2). A
 * provider of the application, with whatever it injects; `@CurrentResource()` hands the object to the handler.
 *
 * ```ts
 * @Injectable()
 * export class ReadableDocument extends ResourceResolver<Document> {
 *   readonly rule = readableDocument;
 *   constructor(@InjectRepository(Document) private readonly documents: Repository<Document>) { super(); }
 *   load(id: string) { return this.documents.findOne({ where: { id }, relations: { shares: true } }); }
 * }
 * ```
 */
export abstract class ResourceResolver<T> {
  /** Which objects the permission reaches. */
  abstract readonly rule: ObjectRule<T>;

  /** Who may know that the object exists although the rule refuses it. Left out: nobody, a refusal says "not found". */
  readonly visible?: Visibility<T>;

  /** Where the id stands: a path parameter, a GraphQL argument, a member of a message. */
  readonly parameter: string = 'id';

  /** What an id looks like; another is refused with 400 before anything is asked. At most 256 characters in any case. */
  readonly idFormat: RegExp = UUID;

  /** How long loading may take, in milliseconds; then the call is refused with 503. */
  readonly timeoutMs: number = 5_000;

  /** The object, or nothing when there is none. What the rule looks at must be loaded with it. */
  abstract load(id: string): Promise<T | null | undefined>;
}

/** What an id looks like unless its resolver says otherwise. */
export const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;
