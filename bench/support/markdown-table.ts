/** A table that reads well on a terminal and in docs/benchmarks.md. Columns of numbers are set to the right. */
export function markdownTable(
  head: readonly string[],
  rows: readonly (readonly (string | number)[])[],
): string {
  const cells = [head, ...rows].map((row) => row.map(String));
  const widths = head.map((_, c) => Math.max(3, ...cells.map((row) => row[c]!.length)));
  const isNumeric = head.map(
    (_, c) => rows.length > 0 && rows.every((row) => /^[-–\d]/.test(String(row[c]))),
  );
  const line = (row: readonly string[]) =>
    `| ${row.map((text, c) => (isNumeric[c] ? text.padStart(widths[c]!) : text.padEnd(widths[c]!))).join(' | ')} |`;
  const rule = `|${widths.map((width, c) => `${'-'.repeat(width + 1)}${isNumeric[c] ? ':' : '-'}`).join('|')}|`;
  return [line(cells[0]!), rule, ...cells.slice(1).map(line)].join('\n');
}
