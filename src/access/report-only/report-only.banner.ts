import type { RouteEntry } from '../inventory/route-entry.js';
import { wayOf } from '../inventory/route-name.js';

/**
 * What the start says of ways in that are not protected, in one warning; undefined when there is none.
 *
 * @param faults what would refuse the start, were they enforced
 * @param bypassing routes of the adapter that nobody has reviewed and that the option lets be
 */
export function reportOnlyBanner(
  entries: readonly RouteEntry[],
  faults: readonly string[],
  bypassing: readonly string[],
): string | undefined {
  const reported = entries.filter(({ reportOnly }) => reportOnly);
  if (reported.length === 0 && bypassing.length === 0) return undefined;
  const handlers = reported.map((entry) => `${wayOf(entry)} (${entry.className}.${entry.handlerName})`);
  return [
    `REPORT-ONLY: ${reported.length} of ${entries.length} ways in are NOT PROTECTED by the kit. What their policies ` +
      'would refuse is recorded and let through; `zero-trust report` sums it up:',
    ...lines(handlers),
    ...(faults.length > 0
      ? [`Enforced, these would refuse the start (${faults.length}):`, ...lines(faults)]
      : []),
    ...(bypassing.length > 0
      ? [
          `Served by the HTTP adapter itself, where nothing is judged and nothing recorded (${bypassing.length}):`,
          ...lines(bypassing),
        ]
      : []),
  ].join('\n');
}

function lines(texts: readonly string[]): readonly string[] {
  return texts.map((text) => `  - ${text}`);
}
