import { Injectable } from '@nestjs/common';
import { UnitOfWork } from '../../database/unit-of-work.js';
import type { RoleDefinition, RoleGraph } from './role-graph.js';

const GRAPH = `
  SELECT name,
    ARRAY(SELECT permission FROM access.role_permission WHERE role = name ORDER BY permission) AS permissions,
    ARRAY(SELECT inherits FROM access.role_inherits WHERE role = name ORDER BY inherits) AS inherits,
    ARRAY(SELECT grantable FROM access.role_may_grant WHERE role = name ORDER BY grantable) AS "mayGrant"
  FROM access.role ORDER BY name`;

/** Reads and writes roles. Writers hold the lock of `AccessChanges`: what they read stays true until they commit. */
@Injectable()
export class RolesStore {
  constructor(private readonly unitOfWork: UnitOfWork) {}

  /** Every role, in one statement: a state that existed. */
  async graph(): Promise<RoleGraph> {
    const rows = await this.unitOfWork.query<RoleDefinition & { name: string }>(GRAPH);
    return new Map(rows.map(({ name, ...definition }) => [name, definition]));
  }

  /** Makes the roles that are not there yet, so that definitions may point at each other in any order. */
  async make(names: readonly string[]): Promise<void> {
    await this.unitOfWork.query(
      'INSERT INTO access.role (name) SELECT unnest($1::text[]) ON CONFLICT (name) DO NOTHING',
      [names],
    );
  }

  /** Replaces what a role says. Every role that it points at exists. */
  async define(name: string, { permissions, inherits, mayGrant }: RoleDefinition): Promise<void> {
    await this.#replace('role_permission', 'permission', name, permissions);
    await this.#replace('role_inherits', 'inherits', name, inherits);
    await this.#replace('role_may_grant', 'grantable', name, mayGrant);
  }

  /** Its permissions and what it points at go with it. */
  async remove(name: string): Promise<void> {
    await this.unitOfWork.query('DELETE FROM access.role WHERE name = $1', [name]);
  }

  /** The three tables have the same shape; their names are literals of this file. */
  async #replace(table: string, column: string, role: string, values: readonly string[]): Promise<void> {
    await this.unitOfWork.query(
      `DELETE FROM access.${table} WHERE role = $1 AND ${column} <> ALL ($2::text[])`,
      [role, values],
    );
    await this.unitOfWork.query(
      `INSERT INTO access.${table} (role, ${column}) SELECT $1, unnest($2::text[]) ON CONFLICT DO NOTHING`,
      [role, values],
    );
  }
}
