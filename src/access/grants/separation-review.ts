import { Injectable } from '@nestjs/common';
import { AccessChanges } from './access-changes.js';
import type { DeclaredRoles } from '../access.options.js';
import { AccessSettings, definitionOf } from '../access.settings.js';
import { GrantsStore } from './grants.store.js';
import type { RoleGraph } from './role-graph.js';
import { joinedIn } from './separation-of-duty.js';

/** One subject, and which roles it holds together although they are to be separate. */
export interface SeparationViolation {
  readonly subject: string;
  readonly broken: readonly { readonly separation: string; readonly roles: readonly string[] }[];
}

export interface SeparationViolations {
  /** How many subjects. */
  readonly count: number;
  /** The first 20 of them. */
  readonly subjects: readonly SeparationViolation[];
}

const MAX_VIOLATIONS_NAMED = 20;

/** Looks for what was granted before it was to be separate. */
@Injectable()
export class SeparationReview {
  constructor(
    private readonly changes: AccessChanges,
    private readonly grants: GrantsStore,
    private readonly settings: AccessSettings,
  ) {}

  /**
   * Who holds roles that are to be separate: a separation is declared in code, and binds from then on what is granted, not
   * what was granted before.
   *
   * @param roles that a synchronisation would bring in; the answer is what it would be then.
   */
  async violations(roles: DeclaredRoles = {}): Promise<SeparationViolations> {
    const wanted = Object.entries(roles).map(([name, role]) => [name, definitionOf(role)] as const);
    const graph: RoleGraph = new Map([...(await this.changes.graph()), ...wanted]);
    const { separationOfDuty } = this.settings;
    const violated = (held: readonly string[]): readonly SeparationViolation['broken'][number][] =>
      separationOfDuty.flatMap((separation) => {
        const joined = joinedIn(separation, graph, held);
        return joined.length === 0 ? [] : [{ separation: separation.name, roles: joined }];
      });
    if (separationOfDuty.length === 0) return { count: 0, subjects: [] };
    const sets = (await this.grants.heldTogether()).filter((set) => violated(set.roles).length > 0);
    const holders = await this.grants.holdersOf(
      sets.map((set) => set.roles),
      MAX_VIOLATIONS_NAMED,
    );
    return {
      count: sets.reduce((sum, set) => sum + set.count, 0),
      subjects: holders.map(({ subject, roles: held }) => ({ subject, broken: violated(held) })),
    };
  }
}
