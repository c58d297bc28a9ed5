import { isPermissionName, type Permission } from '../core/permission.js';
import { BootError } from '../core/zero-trust-error.js';

/** Who may read the document: whoever holds a permission, whoever is authenticated, or everybody. */
export type DocumentAccess = Permission | 'authenticated' | 'public';

/** What the document says of itself, and who may read it. Every option left out is the strict choice. */
export interface OpenApiOptions {
  /** The name of the interface. */
  readonly title: string;
  /** The version of the interface, e.g. `1.4.0`; not the one of OpenAPI. */
  readonly version: string;
  /** What it is for, in Markdown. @default none */
  readonly description?: string;
  /**
   * Who may read the document, and the page where there is one. It lists every way in with what it demands, as
   * `GET /admin/access/routes` does, hence the permission of that one. @default 'access:read'
   */
  readonly access?: DocumentAccess;
  /** Whether `GET /docs` serves a page that shows the document. @default false */
  readonly page?: boolean;
}

export type OpenApiSettings = Required<OpenApiOptions>;

export const OPENAPI_SETTINGS = Symbol('nestjs-zero-trust:openapi-settings');

const DEFAULTS = { description: '', access: 'access:read', page: false } as const;
const KNOWN: ReadonlySet<string> = new Set(['title', 'version', ...Object.keys(DEFAULTS)]);

/** @throws BootError that names each option that is wrong, with the mend. */
export function resolveOpenApiOptions(options: OpenApiOptions): OpenApiSettings {
  // Undefined is left out.
  const given = Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined));
  const settings: OpenApiSettings = { ...DEFAULTS, ...(given as unknown as OpenApiOptions) };
  const faults = [
    ...Object.keys(given)
      .filter((name) => !KNOWN.has(name))
      .map((name) => `"${name}" is no option; there are ${[...KNOWN].join(', ')}`),
    ...(['title', 'version'] as const)
      .filter((name) => typeof settings[name] !== 'string' || settings[name].trim() === '')
      .map((name) => `"${name}" is missing: give it a text`),
    ...(typeof settings.description === 'string' ? [] : ['"description" is a text']),
    ...(typeof settings.page === 'boolean' ? [] : ['"page" is true or false']),
    ...(isAccess(settings.access)
      ? []
      : [`"access" is 'public', 'authenticated' or a permission like 'access:read'`]),
  ];
  if (faults.length > 0) throw new BootError('OpenApiModule', faults);
  return settings;
}

function isAccess(access: unknown): access is DocumentAccess {
  if (access === 'public' || access === 'authenticated') return true;
  return typeof access === 'string' && isPermissionName(access);
}
