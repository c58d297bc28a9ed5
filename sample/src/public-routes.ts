import type { PublicRouteDeclaration } from 'nestjs-zero-trust';
import { readFileSync } from 'node:fs';

/** By which a module around the service says what it opens beside it. */
export const FURTHER_PUBLIC_ROUTES = Symbol('further public routes');

/** What somebody has reviewed: the start is refused when anything else is open to anybody. */
export function publicRoutes(
  further: readonly PublicRouteDeclaration[] = [],
): readonly PublicRouteDeclaration[] {
  const file = new URL('../zero-trust.routes.json', import.meta.url);
  const reviewed = JSON.parse(readFileSync(file, 'utf8')) as { public: PublicRouteDeclaration[] };
  return [...reviewed.public, ...further];
}
