import { Logger } from '@nestjs/common';
import type { AccessSettings } from '../access/access.settings.js';
import { HeldTable, placesOf, type PermissionPlaces } from '../access/decision/held.js';
import type { HeldPermissions } from '../access/decision/held-permissions.js';
import { permissionsOf } from '../access/grants/role-graph.js';
import { kindOf, tenantScope } from '../access/grants/scope.js';
import { brokenBy } from '../access/grants/separation-of-duty.js';
import type { Principal } from '../core/principal.js';
import { RequestContext } from '../core/request-context.js';
import { ZeroTrustError } from '../core/zero-trust-error.js';
import { actingOf, type Acting, type Holdings } from './acting.js';

/** Everything that others ask of `HeldPermissions`. */
type Holding = Pick<HeldPermissions, keyof HeldPermissions>;

/** Who holds what: of whom a test acts as exactly what it says, of everybody else what is stored. */
export class ActedPermissions implements Holding {
  readonly #logger = new Logger('actingAs');
  readonly #tables = new WeakMap<Principal, HeldTable>();
  readonly #places: PermissionPlaces;

  constructor(
    private readonly stored: Holding,
    private readonly settings: AccessSettings,
  ) {
    this.#places = placesOf(settings.catalogue);
  }

  forget(): void {
    this.stored.forget();
  }

  known(principal: Principal): HeldTable | undefined {
    return this.#tableOf(principal) ?? this.stored.known(principal);
  }

  async ofRequest(context: RequestContext, principal: Principal): Promise<HeldTable> {
    return this.#tableOf(principal) ?? this.stored.ofRequest(context, principal);
  }

  async stillLetIn(context: RequestContext, principal: Principal, scope: string | null): Promise<boolean> {
    const table = this.#tableOf(principal);
    if (!table) return this.stored.stillLetIn(context, principal, scope);
    const scopes = scope === null ? [] : [scope];
    return context.letInBy.every((permission) => table.holds(permission, scopes));
  }

  /** Of a subject alone: the caller in hand, where it is theirs. */
  async ofSubject(subject: string): Promise<HeldTable> {
    const caller = RequestContext.current()?.principal;
    const table = caller?.subject === subject ? this.#tableOf(caller) : undefined;
    return table ?? this.stored.ofSubject(subject);
  }

  #tableOf(principal: Principal): HeldTable | undefined {
    const acting = actingOf(principal);
    if (!acting) return undefined;
    let table = this.#tables.get(principal);
    if (!table) {
      const faults = undeclared(acting, this.settings);
      if (faults.length > 0) {
        // A test that is wrong must not look like a refusal.
        const detail = `actingAs: ${faults.join('; ')}`;
        this.#logger.error(detail);
        throw new ZeroTrustError('internal-error', { detail });
      }
      table = new HeldTable(this.#places, heldBy(acting, this.settings));
      this.#tables.set(principal, table);
    }
    return table;
  }
}

/** Scope → permissions, as the grants of somebody real would lead to them. */
function heldBy(acting: Acting, { roles }: AccessSettings): ReadonlyMap<string, Iterable<string>> {
  const held = new Map<string, Set<string>>();
  for (const [scope, { permissions = [], roles: named = [] }] of holdingsOf(acting)) {
    const there = held.get(scope) ?? new Set();
    for (const each of [...permissions, ...permissionsOf(roles, named)]) there.add(each);
    held.set(scope, there);
  }
  return held;
}

/** `''` is everywhere. */
function holdingsOf(acting: Acting): readonly (readonly [scope: string, held: Holdings])[] {
  const { tenant, scopes = {} } = acting;
  return [[tenant === undefined ? '' : tenantScope(tenant), acting], ...Object.entries(scopes)];
}

/** What nobody could hold in this application: it would test somebody who cannot be there. */
function undeclared(acting: Acting, settings: AccessSettings): readonly string[] {
  const { catalogue, roles, scopes, separationOfDuty } = settings;
  const holdings = holdingsOf(acting);
  const named = holdings.flatMap(([, held]) => held.roles ?? []);
  const broken = brokenBy(separationOfDuty, roles, named);
  return [
    ...holdings
      .flatMap(([, { permissions = [] }]) => permissions)
      .filter((permission) => !catalogue.has(permission))
      .map((permission) => `nobody declared the permission "${permission}"`),
    ...named.filter((role) => !roles.has(role)).map((role) => `nobody declared the role "${role}"`),
    ...holdings
      .filter(([scope]) => scope !== '' && !scopes.includes(kindOf(scope)))
      .map(([scope]) => `nobody declared the kind of the scope "${scope}"`),
    ...(broken ? [`nobody may hold these roles together: ${broken.name}`] : []),
  ];
}
