import { existsSync, readFileSync } from 'node:fs';
import type { PublicRouteDeclaration } from '../access.options.js';
import { publicRoutesFaults } from './public-routes.js';

/** Reads the reviewed list of `zero-trust.routes.json`. @throws Error in one line when it is not there or is no such list. */
export function readPublicRoutes(file: string): readonly PublicRouteDeclaration[] {
  if (!existsSync(file))
    throw new Error(`${file} is not there: make it with --write, then write each reason`);
  let parsed: unknown;
  try {
    parsed = JSON.parse(readFileSync(file, 'utf8'));
  } catch (cause) {
    throw new Error(`${file} cannot be read as JSON`, { cause });
  }
  const isObject = typeof parsed === 'object' && parsed !== null && !Array.isArray(parsed);
  const { public: list, ...unknown } = (isObject ? parsed : {}) as Partial<Record<string, unknown>>;
  const faults = [
    ...Object.keys(unknown).map((name) => `unknown key "${name}": it holds "public" alone`),
    ...publicRoutesFaults(list).map((fault) => `public: ${fault}`),
  ];
  if (faults.length > 0) throw new Error(`${file}: ${faults.join('; ')}`);
  return list as readonly PublicRouteDeclaration[];
}
