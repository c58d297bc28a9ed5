import type { DynamicModule, INestApplication, Type } from '@nestjs/common';
import { MODULE_METADATA } from '@nestjs/common/constants.js';

export type HostModule = Type | DynamicModule;
export type HostFactory = () => INestApplication | Promise<INestApplication>;

/** What a file of the application offers: its module, or a function that makes the application. */
export type HostExport =
  | { readonly kind: 'module'; readonly module: HostModule }
  | { readonly kind: 'factory'; readonly create: HostFactory };

const FACTORY = 'createApplication';

/**
 * The export that `name` names; without one `AppModule`, `default`, the only module there is, or `createApplication`.
 *
 * @throws TypeError that says what the file has instead.
 */
export function hostExportOf(namespace: object, name: string | undefined): HostExport {
  const exports = exportsOf(namespace);
  const names = [...exports.keys()].join(', ') || 'nothing';
  if (name !== undefined) {
    if (!exports.has(name)) throw new TypeError(`has no export "${name}" (it exports ${names})`);
    const found = readExport(exports.get(name));
    if (!found) throw new TypeError(`exports "${name}", which is no Nest module and no function`);
    return found;
  }
  const modules = [...exports].filter(([, value]) => isModule(value));
  const only = new Set(modules.map(([, value]) => value));
  const chosen =
    ['AppModule', 'default'].map((each) => exports.get(each)).find(isModule) ??
    (only.size === 1 ? [...only][0] : undefined) ??
    (only.size === 0 ? exports.get(FACTORY) : undefined);
  const found = readExport(chosen);
  if (found) return found;
  if (only.size > 1) {
    const several = modules.map(([each]) => each).join(', ');
    throw new TypeError(`exports several Nest modules (${several}); name one with --export`);
  }
  throw new TypeError(`exports no Nest module (it exports ${names}); name another file, or an export`);
}

/** CommonJS shows up as `default`, with or without its names beside it. */
function exportsOf(namespace: object): ReadonlyMap<string, unknown> {
  const { default: whole } = namespace as { default?: unknown };
  const inner = typeof whole === 'object' && whole !== null && !isDynamicModule(whole) ? whole : {};
  const all = new Map([...Object.entries(inner), ...Object.entries(namespace)]);
  for (const mark of ['__esModule', 'module.exports']) all.delete(mark);
  if (all.get('default') === inner) all.delete('default');
  return all;
}

function readExport(value: unknown): HostExport | undefined {
  if (isDynamicModule(value)) return { kind: 'module', module: value };
  if (typeof value !== 'function') return undefined;
  // A class without metadata is `@Module({})`, or a mistake that Nest names.
  if (isModule(value) || isClass(value)) return { kind: 'module', module: value as Type };
  return { kind: 'factory', create: value as HostFactory };
}

function isModule(value: unknown): boolean {
  if (isDynamicModule(value)) return true;
  return (
    typeof value === 'function' &&
    Object.values(MODULE_METADATA).some((key) => Reflect.hasOwnMetadata(key, value))
  );
}

function isDynamicModule(value: unknown): value is DynamicModule {
  return typeof (value as { module?: unknown } | null | undefined)?.module === 'function';
}

// eslint-disable-next-line @typescript-eslint/no-unsafe-function-type -- any function: its text is all that is read
function isClass(value: Function): boolean {
  return /^class\b/.test(Function.prototype.toString.call(value));
}
