import type { Type } from '@nestjs/common';

/**
 * What is judged without consequences while an application introduces the kit: recorded, let through, and NOT protected.
 * A single handler is marked with `@ReportOnly()`.
 */
export interface ReportOnlyOptions {
  /**
   * Modules whose own controllers, gateways and resolvers are report-only; what they import is not. Each is named, so that
   * one that is added later is protected from its first day. A stale entry fails the start. @default none
   */
  readonly modules?: readonly Type[];
  /**
   * Whether routes of the adapter that nobody has reviewed are listed at the start instead of refusing it. Nobody can judge
   * what bypasses Nest: nothing is recorded of them. @default false
   */
  readonly adapterRoutes?: boolean;
}

/** The option with its defaults. */
export interface ReportOnlySettings {
  readonly modules: ReadonlySet<object>;
  readonly adapterRoutes: boolean;
}

/** Everything is enforced. */
export const NOTHING_REPORT_ONLY: ReportOnlySettings = { modules: new Set(), adapterRoutes: false };

/** @returns the settings, and what is wrong with them, each with its mend: JavaScript knows no compiler. */
export function readReportOnly(given: unknown): {
  readonly faults: readonly string[];
  readonly settings: ReportOnlySettings;
} {
  if (given === undefined) return { faults: [], settings: NOTHING_REPORT_ONLY };
  if (typeof given !== 'object' || given === null || Array.isArray(given)) {
    const fault = 'reportOnly must be an object, e.g. { modules: [CatsModule] }';
    return { faults: [fault], settings: NOTHING_REPORT_ONLY };
  }
  const { modules = [], adapterRoutes = false, ...unknown } = given as Record<string, unknown>;
  const faults = Object.keys(unknown).map(
    (name) => `reportOnly: unknown option "${name}": remove it or correct its spelling`,
  );
  const list: readonly unknown[] = Array.isArray(modules) ? modules : [];
  if (!Array.isArray(modules)) faults.push('reportOnly.modules must be a list of module classes');
  if (!list.every((each) => typeof each === 'function')) {
    // A circle of imports leaves undefined behind.
    faults.push('reportOnly.modules: each entry is a module class; name the class of a dynamic module');
  }
  if (new Set(list).size < list.length) faults.push('reportOnly.modules: a module is named twice');
  if (typeof adapterRoutes !== 'boolean') faults.push('reportOnly.adapterRoutes must be true or false');
  return {
    faults,
    settings: { modules: new Set(list as object[]), adapterRoutes: adapterRoutes === true },
  };
}
