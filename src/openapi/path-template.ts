import { LegacyRouteConverter } from '@nestjs/core/router/legacy-route-converter.js';

/** A path as it is served, in the notation of OpenAPI: `/files/:id/*rest` → `/files/{id}/{rest}`, as @nestjs/swagger does. */
export function pathTemplate(path: string): string {
  const named = LegacyRouteConverter.tryConvert(path, { logs: false })
    .replace(/::|\[:\]/g, '\\:')
    .replace(/\(\^[^()]+\)/g, '');
  return named.replace(
    /\\(.)|[:*](?:"([^"]*)"|([\p{L}\p{N}_$]+))|[{}]/gu,
    (_found, literal: string | undefined, quoted: string | undefined, name: string | undefined) =>
      literal ?? ((quoted ?? name) ? `{${quoted ?? name ?? ''}}` : ''),
  );
}

/** The names between the braces of a template, in order. */
export function parametersOf(template: string): readonly string[] {
  return [...template.matchAll(/\{([^{}]*)\}/g)].map(([, name = '']) => name);
}
