// Rows of text in aligned columns, for the terminal.

/** Space between columns. */
const GAP = '  ';

/**
 * Aligns columns: numbers to the right, text to the left, by what the column's cells are. The last column is cut at
 * `width`, so that a line never wraps.
 *
 * @param header absent: no header line.
 */
export function textTable(
  rows: readonly (readonly (string | number)[])[],
  options: { header?: readonly string[]; width: number; indent?: string },
): string {
  const indent = options.indent ?? '';
  const cells = rows.map((row) => row.map(String));
  const all = options.header === undefined ? cells : [[...options.header], ...cells];
  if (all.length === 0) return '';
  const columns = Math.max(...all.map((row) => row.length));
  const widths = Array.from({ length: columns }, (_, column) =>
    Math.max(...all.map((row) => displayWidth(row[column] ?? ''))),
  );
  const isNumeric = widths.map((_, column) => rows.length > 0 && rows.every((row) => isNumber(row[column])));
  return all
    .map((row) => {
      const line = row.map((cell, column) => align(cell, widths[column]!, isNumeric[column]!)).join(GAP);
      return `${indent}${cut(line.trimEnd(), options.width - indent.length)}`;
    })
    .join('\n');
}

/** Cuts a text to so many columns, the last of them an ellipsis. */
export function cut(text: string, width: number): string {
  if (displayWidth(text) <= width) return text;
  let kept = '';
  let used = 0;
  for (const character of text) {
    const size = characterWidth(character);
    if (used + size > width - 1) break;
    kept += character;
    used += size;
  }
  return `${kept}…`;
}

/** Columns a text takes on a terminal: two for East Asian wide characters and emoji, none for combining marks. */
export function displayWidth(text: string): number {
  let width = 0;
  for (const character of text) width += characterWidth(character);
  return width;
}

function characterWidth(character: string): number {
  if (/\p{Mark}/u.test(character)) return 0;
  return /[\u1100-\u115f\u2e80-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6]|\p{Emoji_Presentation}/u.test(
    character,
  )
    ? 2
    : 1;
}

function align(cell: string, width: number, toRight: boolean): string {
  const space = ' '.repeat(Math.max(0, width - displayWidth(cell)));
  return toRight ? space + cell : cell + space;
}

function isNumber(cell: string | number | undefined): boolean {
  return typeof cell === 'number' || (cell !== undefined && /^[-+]?[\d.,]+(?: ?%| s)?$|^[-–]?$/.test(cell));
}
