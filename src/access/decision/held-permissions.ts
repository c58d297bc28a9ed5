import { Injectable, Logger } from '@nestjs/common';
import { performance } from 'node:perf_hooks';
import type { Principal } from '../../core/principal.js';
import { PrincipalNote } from '../../core/principal-note.js';
import type { RequestContext } from '../../core/request-context.js';
import { systemPermissionsOf } from '../../core/system-task.js';
import { UnitOfWork } from '../../database/unit-of-work.js';
import { FreshnessFeed } from '../../freshness/freshness.feed.js';
import { AccessSettings } from '../access.settings.js';
import { HeldTable, placesOf, type PermissionPlaces } from './held.js';
import { RememberedPermissions, type ReadPermissions } from './remembered-permissions.js';
import { kindOf } from '../grants/scope.js';

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

/** UNION, not UNION ALL: a role that was reached is not walked again, so that a cycle ends. A row a scope. */
const EFFECTIVE_PERMISSIONS = `
  WITH RECURSIVE reached (role, scope) AS (
    SELECT role, coalesce(scope, '') FROM access."grant" WHERE subject = $1 AND ${IS_LIVE}
    UNION
    SELECT i.inherits, r.scope FROM access.role_inherits i JOIN reached r ON r.role = i.role
  )
  SELECT r.scope, array_agg(DISTINCT p.permission) AS permissions
    FROM access.role_permission p JOIN reached r ON r.role = p.role GROUP BY r.scope`;

/** When one of the subject's grants begins or ends by itself, whichever is next. */
const NEXT_CHANGE = `
  SELECT extract(epoch FROM min(moment) - clock_timestamp())::float8 AS seconds
    FROM access."grant", unnest(ARRAY[not_before, expires_at]) AS moment
   WHERE subject = $1 AND revoked_at IS NULL AND moment > clock_timestamp()`;

/** Undeclared names that were reported once; beyond, one more report says nothing new. */
const MAX_REPORTED = 100;

/** Subjects that are remembered at most; some hundred bytes each. */
const MAX_REMEMBERED = 10_000;

/** Different tables that are shared at most, and how long what was read for one may be: those of many are short. */
const MAX_TABLES = 1_000;
const MAX_TABLE_TEXT = 2_000;

/** For how long what was read for one request counts there, while memory may not be trusted: as long as memory would. */
const READING_COUNTS_MS = 1_000;

/** What was asked of the database for one request. */
interface Asked {
  readonly held: Promise<HeldTable>;
  /** Of all that is remembered, when it was asked. */
  readonly version: number;
  /** Of `performance.now()`. */
  readonly atMs: number;
}

interface HeldRow {
  readonly scope: string;
  readonly permissions: readonly string[];
}

/**
 * Who holds what, now: read from the database, never from a token. What was read is remembered until the freshness feed
 * says that a grant of the subject, or any role, has changed, or until one of its grants begins or ends; and it is used
 * only while the feed is confirmed, or else read again.
 */
@Injectable()
export class HeldPermissions {
  readonly #logger = new Logger('AccessModule');
  readonly #remembered = new RememberedPermissions(MAX_REMEMBERED);
  readonly #ofPrincipal = new PrincipalNote<HeldTable>();
  readonly #ofRequest = new WeakMap<RequestContext, Asked>();
  readonly #ofSystem = new WeakMap<Principal, HeldTable>();
  /** Subjects who hold the same share one table, by what was read: many hold one role, and memory is slow. */
  readonly #tables = new Map<string, HeldTable>();
  readonly #reported = new Set<string>();
  readonly #places: PermissionPlaces;
  readonly #nothing: HeldTable;

  constructor(
    private readonly unitOfWork: UnitOfWork,
    private readonly settings: AccessSettings,
    private readonly feed: FreshnessFeed,
  ) {
    this.#places = placesOf(settings.catalogue);
    this.#nothing = new HeldTable(this.#places, new Map());
    feed.on('grants', ({ id }) => {
      this.#remembered.forget(keyOf(id));
    });
    feed.on('roles', () => {
      this.forget();
    });
    feed.onReset(() => {
      this.forget();
    });
  }

  /** Forgets everything: this very replica has changed something. */
  forget(): void {
    this.#remembered.forgetAll();
    this.#tables.clear();
  }

  /** What a principal is known to hold, without a question to the database; undefined when that cannot be said. */
  known(principal: Principal): HeldTable | undefined {
    if (principal.kind === 'system') return this.#declared(principal);
    const nowMs = performance.now();
    if (!this.feed.isFresh(nowMs)) return undefined;
    const { version } = this.#remembered;
    const noted = this.#ofPrincipal.of(principal, version);
    if (noted) return noted;
    const found = this.#remembered.get(keyOf(principal.subject), nowMs);
    // What ends by itself tells nobody: it is looked up, and looked at, each time.
    if (found && found.endsAtMs === undefined) this.#ofPrincipal.keep(principal, found.held, version);
    return found?.held;
  }

  /**
   * What the principal of this request holds, now. Where memory cannot say it, one reading serves the request; but what
   * lasts, a stream or a socket, goes on in the context that it was let in with, and is told what has changed since.
   */
  ofRequest(context: RequestContext, principal: Principal): Promise<HeldTable> {
    const known = this.known(principal);
    if (known) return Promise.resolve(known);
    const nowMs = performance.now();
    const { version } = this.#remembered;
    const asked = this.#ofRequest.get(context);
    if (asked?.version === version && nowMs - asked.atMs < READING_COUNTS_MS) return asked.held;
    const held = this.#read(principal.subject);
    this.#ofRequest.set(context, { held, version, atMs: nowMs });
    // A failure is not remembered: it is an answer to nothing.
    held.catch(() => {
      if (this.#ofRequest.get(context)?.held === held) this.#ofRequest.delete(context);
    });
    return held;
  }

  /**
   * Whether the caller still holds what the request was let in by, read afresh: everywhere, or in the scope that is to
   * be changed. Between that decision and a change may lie a revocation: whoever changes rights asks again, while
   * nobody else can.
   */
  async stillLetIn(context: RequestContext, principal: Principal, scope: string | null): Promise<boolean> {
    const permissions = context.letInBy;
    if (permissions.length === 0) return true;
    const isSystem = principal.kind === 'system';
    const held = isSystem ? this.#declared(principal) : await this.ofSubject(principal.subject);
    const scopes = scope === null ? [] : [scope];
    return permissions.every((permission) => held.holds(permission, scopes));
  }

  /** @throws when the database does not answer; whoever decides refuses then. */
  async ofSubject(subject: string): Promise<HeldTable> {
    if (!canHoldGrants(subject)) return this.#nothing;
    const rows = await this.unitOfWork.query<HeldRow>(EFFECTIVE_PERMISSIONS, [subject]);
    const read = rows.map(({ scope, permissions: held }) => JSON.stringify([scope, ...held]));
    const text = read.sort().join();
    const known = this.#tables.get(text);
    if (known) return known;
    const table = this.#tableOf(rows);
    if (text.length > MAX_TABLE_TEXT) return table;
    if (this.#tables.size >= MAX_TABLES) this.#tables.clear();
    this.#tables.set(text, table);
    return table;
  }

  #tableOf(rows: readonly HeldRow[]): HeldTable {
    const held = new Map<string, readonly string[]>();
    for (const { scope, permissions } of rows) {
      // Of a kind that no code declares, no rule asks: it conveys nothing, whoever wrote it into the table.
      if (scope !== '' && !this.settings.scopes.includes(kindOf(scope))) this.#report('scope', kindOf(scope));
      else
        held.set(
          scope,
          permissions.filter((permission) => this.#isDeclared(permission)),
        );
    }
    return new HeldTable(this.#places, held);
  }

  /** What code lets a system do: by the very object that a task runs with, so that no proof can name it. */
  #declared(principal: Principal): HeldTable {
    const permissions = systemPermissionsOf(principal);
    if (!permissions) return this.#nothing;
    let held = this.#ofSystem.get(principal);
    if (!held) {
      held = new HeldTable(this.#places, new Map([['', permissions]]));
      this.#ofSystem.set(principal, held);
    }
    return held;
  }

  #read(subject: string): Promise<HeldTable> {
    // What a transaction sees of its own may be rolled back yet: it counts for this request, and is not remembered.
    if (this.unitOfWork.active) return this.ofSubject(subject);
    return this.#remembered.read(keyOf(subject), () => this.#readWithChange(subject));
  }

  async #readWithChange(subject: string): Promise<ReadPermissions> {
    if (!canHoldGrants(subject)) return { held: this.#nothing, secondsToChange: undefined };
    // First when something changes by itself: read afterwards, what is held is at least as new.
    const [next] = await this.unitOfWork.query<{ seconds: number | null }>(NEXT_CHANGE, [subject]);
    return { held: await this.ofSubject(subject), secondsToChange: next?.seconds ?? undefined };
  }

  #isDeclared(permission: string): boolean {
    if (this.settings.catalogue.has(permission)) return true;
    this.#report('permission', permission);
    return false;
  }

  #report(what: 'permission' | 'scope', name: string): void {
    if (this.#reported.has(name) || this.#reported.size >= MAX_REPORTED) return;
    this.#reported.add(name);
    this.#logger.warn(
      what === 'permission'
        ? `a role in the database names "${name}", which nobody declared: it conveys nothing. ` +
            'Declare it in AccessModule\'s "permissions" or take it out of the role.'
        : `a grant in the database has a scope of the kind "${name}", which nobody declared: it conveys nothing. ` +
            'Declare it in AccessModule\'s "scopes" or revoke the grant.',
    );
  }
}
