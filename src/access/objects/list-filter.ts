import type { ObjectLiteral, SelectQueryBuilder, WhereExpressionBuilder } from 'typeorm';
import { Brackets } from 'typeorm';
import type { Principal } from '../../core/principal.js';
import type { HeldTable } from '../decision/held.js';
import type { ObjectRule } from './object-rule.js';
import { TENANT_KIND } from '../grants/scope.js';
import { comparedColumn, type Rows } from './column.sql.js';
import { conditionSql, type Sql } from './condition.sql.js';
import { isolateConditions, keepFilter } from './filtered-query.js';

/** For whom a list is narrowed. */
export interface FilterContext {
  readonly principal: Principal;
  readonly permissions: readonly string[];
  readonly held: HeldTable;
  readonly tenant: string | undefined;
}

/**
 * Narrows a query to the objects on which `decide()` would grant the same permission: a list and an item can't disagree,
 * because both are made of one rule.
 *
 * ```ts
 * filter.applyTo(this.documents.createQueryBuilder('document')).getMany();
 * ```
 */
export class ListFilter<T> {
  constructor(
    private readonly rule: ObjectRule<T>,
    private readonly context: FilterContext,
  ) {
    if (!rule.when) {
      throw new TypeError(
        `The rule "${rule.name}" of ${rule.type} is a predicate, which PostgreSQL cannot ask: declare it with "when".`,
      );
    }
  }

  /**
   * Adds the condition to what the query says already, which is put in brackets, and returns the query. `alias`: whose
   * rows are narrowed. Afterwards the query takes no `where()` and no `orWhere()`: they would take the filter away. What
   * `andWhere()` is given counts as one condition, also when it is a text with an OR in it.
   */
  applyTo<Entity extends T & ObjectLiteral>(
    query: SelectQueryBuilder<Entity>,
    alias: string = query.alias,
  ): SelectQueryBuilder<Entity> {
    const { expressionMap } = query;
    const condition = expressionMap.wheres;
    // "a OR b AND filter" would let in every a.
    if (condition.length > 0) {
      expressionMap.wheres = [{ type: 'simple', condition: { operator: 'brackets', condition } }];
    }
    query.andWhere(this.expression(query, alias));
    return keepFilter(query);
  }

  /**
   * The same as an expression, for `where`, `andWhere` and other brackets of the same query. The conditions beside
   * it stand in brackets of their own from then on.
   *
   * @throws TypeError when the query has no entity under the alias, or it lacks what the rule looks at.
   */
  expression<Entity extends ObjectLiteral>(
    query: SelectQueryBuilder<Entity>,
    alias: string = query.alias,
  ): Brackets {
    const found = query.expressionMap.aliases.find(({ name }) => name === alias);
    if (!found?.hasMetadata) {
      throw new TypeError(
        `The query has no entity under the alias "${alias}": name the one whose rows are listed.`,
      );
    }
    const parameters: Record<string, unknown> = {};
    const taken = query.getParameters();
    const bind = (value: unknown): string => {
      let name = uniqueName();
      while (Object.hasOwn(taken, name)) name = uniqueName();
      parameters[name] = value;
      return name;
    };
    const text = this.#text({ bind, name: uniqueName }, { metadata: found.metadata, alias });
    return new Brackets((where: WhereExpressionBuilder) => {
      // What it is added to: the query, or brackets in it.
      const { parentQueryBuilder } = where as unknown as { parentQueryBuilder: SelectQueryBuilder<Entity> };
      isolateConditions(parentQueryBuilder);
      where.where(text, parameters);
    });
  }

  /** In the order of `decide()`: what is held for the object, its tenant, then the rule or what overrides it. */
  #text(sql: Sql, rows: Rows): string {
    const { permissions, principal } = this.context;
    const { rule } = this;
    if (permissions.length === 0 || !rule.when) return 'FALSE';
    const ruled = conditionSql(rule.when, sql, rows, principal.subject);
    const overridden =
      rule.overriddenBy === undefined ? 'FALSE' : this.#heldText(rule.overriddenBy, sql, rows);
    return [
      ...permissions.map((permission) => this.#heldText(permission, sql, rows)),
      this.#tenantText(sql, rows),
      `(${overridden} OR ${ruled})`,
    ].join(' AND ');
  }

  #heldText(permission: string, sql: Sql, rows: Rows): string {
    const { held } = this.context;
    if (held.holds(permission, [])) return 'TRUE';
    const scopes = held.scopesOf(permission);
    const within = Object.entries(this.rule.scopes ?? {}).map(([kind, property]) => {
      const ids = scopes
        .filter((scope) => scope.startsWith(`${kind}:`))
        .map((scope) => scope.slice(kind.length + 1));
      return amongText(property, ids, sql, rows);
    });
    return within.length === 0 ? 'FALSE' : `(${within.join(' OR ')})`;
  }

  #tenantText(sql: Sql, rows: Rows): string {
    const property = this.rule.scopes?.[TENANT_KIND];
    if (property === undefined) return 'TRUE';
    const { tenant } = this.context;
    return amongText(property, tenant === undefined ? [] : [tenant], sql, rows);
  }
}

/** What is no id of such a column equals none. */
function amongText(property: string, ids: readonly string[], sql: Sql, rows: Rows): string {
  const column = comparedColumn(property, rows);
  const asked = column.amongIds(ids);
  return asked.length === 0 ? 'FALSE' : `${column.sql} = ANY(:${sql.bind(asked)})`;
}

let named = 0;

/** TypeORM keeps the parameters and aliases of a query, and of what is below it, in one drawer. */
function uniqueName(): string {
  named = (named + 1) % Number.MAX_SAFE_INTEGER;
  return `zero_trust_${named.toString(36)}`;
}
