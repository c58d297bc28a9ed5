import { Injectable, Logger } from '@nestjs/common';
import type { Permission } from '../core/permission.js';
import type { Principal } from '../core/principal.js';
import type { RequestContext } from '../core/request-context.js';
import { UnitOfWork } from '../database/unit-of-work.js';
import { FreshnessFeed } from '../freshness/freshness.feed.js';
import { AccessSettings } from './access.settings.js';
import { RememberedPermissions, type ReadPermissions } from './remembered-permissions.js';

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;

/** Whether a subject can hold grants at all: others (systems, foreign ids) hold nothing. */
export function canHoldGrants(subject: string): boolean {
  return UUID.test(subject);
}

/** An authenticator of the host may write UUIDs in upper case; the feed names them as PostgreSQL does. */
const keyOf = (subject: string): string => subject.toLowerCase();

/** A grant counts from `not_before` until it expires or is revoked, by the clock of the database. */
export const IS_LIVE = `revoked_at IS NULL
  AND (not_before IS NULL OR not_before <= clock_timestamp())
  AND (expires_at IS NULL OR expires_at > clock_timestamp())`;

/** UNION, not UNION ALL: a role that was reached is not walked again, so that a cycle ends. */
const EFFECTIVE_PERMISSIONS = `
  WITH RECURSIVE reached (role) AS (
    SELECT role FROM access."grant" WHERE subject = $1 AND ${IS_LIVE}
    UNION
    SELECT i.inherits FROM access.role_inherits i JOIN reached r ON r.role = i.role
  )
  SELECT DISTINCT p.permission FROM access.role_permission p JOIN reached r ON r.role = p.role`;

/** When one of the subject's grants begins or ends by itself, whichever is next. */
const NEXT_CHANGE = `
  SELECT extract(epoch FROM min(moment) - clock_timestamp())::float8 AS seconds
    FROM access."grant", unnest(ARRAY[not_before, expires_at]) AS moment
   WHERE subject = $1 AND revoked_at IS NULL AND moment > clock_timestamp()`;

const NOTHING: ReadonlySet<string> = new Set();
/** Undeclared names that were reported once; beyond, one more report says nothing new. */
const MAX_REPORTED = 100;

/** Subjects that are remembered at most; some hundred bytes each. */
const MAX_REMEMBERED = 10_000;

/**
 * Who holds what, now: read from the database, never from a token. What was read is remembered until the freshness feed
 * says that a grant of the subject, or any role, has changed, or until one of its grants begins or ends; and it is used
 * only while the feed is confirmed, or else read again.
 */
@Injectable()
export class HeldPermissions {
  readonly #logger = new Logger('AccessModule');
  readonly #remembered = new RememberedPermissions(MAX_REMEMBERED);
  readonly #ofRequest = new WeakMap<RequestContext, Promise<ReadonlySet<string>>>();
  readonly #letInBy = new WeakMap<RequestContext, readonly Permission[]>();
  readonly #reported = new Set<string>();

  constructor(
    private readonly unitOfWork: UnitOfWork,
    private readonly settings: AccessSettings,
    private readonly feed: FreshnessFeed,
  ) {
    feed.on('grants', ({ id }) => {
      this.#remembered.forget(keyOf(id));
    });
    feed.on('roles', () => {
      this.#remembered.forgetAll();
    });
    feed.onReset(() => {
      this.#remembered.forgetAll();
    });
  }

  /** Forgets everything: this very replica has changed something. */
  forget(): void {
    this.#remembered.forgetAll();
  }

  /** What a subject is known to hold, without a question to the database; undefined when that cannot be said. */
  known(subject: string): ReadonlySet<string> | undefined {
    return this.feed.isFresh() ? this.#remembered.get(keyOf(subject)) : undefined;
  }

  /** What the principal of this request holds; asked of the database at most once a request. */
  ofRequest(context: RequestContext, principal: Principal): Promise<ReadonlySet<string>> {
    let held = this.#ofRequest.get(context);
    if (!held) {
      const { subject } = principal;
      const known = this.known(subject);
      held = known ? Promise.resolve(known) : this.#read(subject);
      this.#ofRequest.set(context, held);
      // A failure is not remembered: it is an answer to nothing.
      held.catch(() => this.#ofRequest.delete(context));
    }
    return held;
  }

  /** Remembers by which permissions a request was let in. */
  letIn(context: RequestContext, permissions: readonly Permission[]): void {
    const before = this.#letInBy.get(context);
    this.#letInBy.set(context, before ? [...before, ...permissions] : permissions);
  }

  /**
   * Whether the caller still holds what the request was let in by, read afresh. Between that decision and a change
   * may lie a revocation: whoever changes rights asks again, while nobody else can.
   */
  async stillLetIn(context: RequestContext, principal: Principal): Promise<boolean> {
    const permissions = this.#letInBy.get(context) ?? [];
    if (permissions.length === 0) return true;
    const held = await this.ofSubject(principal.subject);
    return permissions.every((permission) => held.has(permission));
  }

  /** @throws when the database does not answer; whoever decides refuses then. */
  async ofSubject(subject: string): Promise<ReadonlySet<string>> {
    if (!canHoldGrants(subject)) return NOTHING;
    const rows = await this.unitOfWork.query<{ permission: string }>(EFFECTIVE_PERMISSIONS, [subject]);
    const held = new Set<string>();
    for (const { permission } of rows) {
      // What no code declares, no code demands: it conveys nothing, whoever wrote it into the table.
      if (this.settings.catalogue.has(permission)) held.add(permission);
      else this.#report(permission);
    }
    return held;
  }

  #read(subject: string): Promise<ReadonlySet<string>> {
    // What a transaction sees of its own may be rolled back yet: it counts for this request, and is not remembered.
    if (this.unitOfWork.active) return this.ofSubject(subject);
    return this.#remembered.read(keyOf(subject), () => this.#readWithChange(subject));
  }

  async #readWithChange(subject: string): Promise<ReadPermissions> {
    if (!canHoldGrants(subject)) return { held: NOTHING, secondsToChange: undefined };
    // First when something changes by itself: read afterwards, what is held is at least as new.
    const [next] = await this.unitOfWork.query<{ seconds: number | null }>(NEXT_CHANGE, [subject]);
    return { held: await this.ofSubject(subject), secondsToChange: next?.seconds ?? undefined };
  }

  #report(permission: string): void {
    if (this.#reported.has(permission) || this.#reported.size >= MAX_REPORTED) return;
    this.#reported.add(permission);
    this.#logger.warn(
      `a role in the database names "${permission}", which nobody declared: it conveys nothing. ` +
        'Declare it in AccessModule\'s "permissions" or take it out of the role.',
    );
  }
}
