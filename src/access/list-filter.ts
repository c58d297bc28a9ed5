import type { ObjectLiteral, SelectQueryBuilder, WhereExpressionBuilder } from 'typeorm';
import { Brackets } from 'typeorm';
import type { Principal } from '../core/principal.js';
import type { HeldTable } from './held.js';
import type { ObjectRule } from './object-rule.js';
import { TENANT_KIND } from './scope.js';
import { columnOf, conditionSql, type Sql } from './condition.sql.js';

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

  /** Adds the condition to what the query says already, and returns the query. `alias`: whose rows are narrowed. */
  applyTo<Entity extends T & ObjectLiteral>(
    query: SelectQueryBuilder<Entity>,
    alias: string = query.alias,
  ): SelectQueryBuilder<Entity> {
    return query.andWhere(this.expression(query, alias));
  }

  /** The same as an expression, for `where`, `andWhere` and other brackets of the same query. */
  expression<Entity extends ObjectLiteral>(
    query: SelectQueryBuilder<Entity>,
    alias: string = query.alias,
  ): Brackets {
    const parameters: Record<string, unknown> = {};
    const bind = (value: unknown): string => {
      const name = uniqueName();
      parameters[name] = value;
      return name;
    };
    const sql: Sql = { query, bind, name: uniqueName };
    const text = this.#text(sql, alias);
    return new Brackets((where: WhereExpressionBuilder) => {
      where.where(text, parameters);
    });
  }

  /** In the order of `decide()`: what is held for the object, its tenant, then the rule or what overrides it. */
  #text(sql: Sql, alias: string): string {
    const { permissions, principal } = this.context;
    const { rule } = this;
    if (permissions.length === 0 || !rule.when) return 'FALSE';
    const ruled = conditionSql(rule.when, sql, alias, principal.subject);
    const overridden =
      rule.overriddenBy === undefined ? 'FALSE' : this.#heldText(rule.overriddenBy, sql, alias);
    return [
      ...permissions.map((permission) => this.#heldText(permission, sql, alias)),
      this.#tenantText(sql, alias),
      `(${overridden} OR ${ruled})`,
    ].join(' AND ');
  }

  #heldText(permission: string, sql: Sql, alias: string): string {
    const { held } = this.context;
    if (held.holds(permission, [])) return 'TRUE';
    const scopes = held.scopesOf(permission);
    const within = Object.entries(this.rule.scopes ?? {}).flatMap(([kind, property]) => {
      const ids = scopes
        .filter((scope) => scope.startsWith(`${kind}:`))
        .map((scope) => scope.slice(kind.length + 1));
      // As text: ids of scopes are, and what is no UUID must not become an error of the database.
      return ids.length === 0 ? [] : [`${idText(property, sql, alias)} = ANY(:${sql.bind(ids)})`];
    });
    return within.length === 0 ? 'FALSE' : `(${within.join(' OR ')})`;
  }

  #tenantText(sql: Sql, alias: string): string {
    const property = this.rule.scopes?.[TENANT_KIND];
    if (property === undefined) return 'TRUE';
    const { tenant } = this.context;
    return tenant === undefined ? 'FALSE' : `${idText(property, sql, alias)} = :${sql.bind(tenant)}`;
  }
}

function idText(property: string, sql: Sql, alias: string): string {
  return `CAST(${alias}.${columnOf(property, sql, alias).propertyPath} AS text)`;
}

let named = 0;

/** TypeORM keeps the parameters and aliases of a query, and of what is below it, in one drawer. */
function uniqueName(): string {
  named = (named + 1) % Number.MAX_SAFE_INTEGER;
  return `zt_${named.toString(36)}`;
}
