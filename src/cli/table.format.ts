type Row = readonly string[];

/** Columns as wide as they need to be, under a head in capitals. */
export function textTable(head: Row, rows: readonly Row[]): string {
  const widths = head.map((each, at) => Math.max(each.length, ...rows.map((row) => row[at]?.length ?? 0)));
  const line = (row: Row): string =>
    row
      .map((cell, at) => cell.padEnd(widths[at] ?? 0))
      .join('  ')
      .trimEnd();
  return [line(head.map((each) => each.toUpperCase())), ...rows.map(line)].join('\n');
}

export function markdownTable(head: Row, rows: readonly Row[]): string {
  const line = (row: Row): string => `| ${row.map(escaped).join(' | ')} |`;
  return [line(head), `|${' --- |'.repeat(head.length)}`, ...rows.map(line)].join('\n');
}

/** `|` parts cells; a path may hold one. */
function escaped(cell: string): string {
  return cell.replaceAll('\\', '\\\\').replaceAll('|', '\\|').replaceAll('\n', ' ');
}
