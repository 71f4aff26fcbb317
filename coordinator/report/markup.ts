// HTML and SVG written as templates that escape whatever is put into them.

/** Text that is markup already and must not be escaped again. Only `markup` and the constants of this folder make it. */
export class Markup {
  constructor(readonly text: string) {}
}

/** What may stand in a template: text and numbers (escaped), markup, lists of these; false and absent print nothing. */
export type Insert = string | number | Markup | false | null | undefined | readonly Insert[];

/** A template literal with every insert escaped for element content and quoted attributes. */
export function markup(strings: TemplateStringsArray, ...inserts: Insert[]): Markup {
  return new Markup(strings.reduce((text, part, i) => text + render(inserts[i - 1]) + part));
}

/** Escapes text for element content and quoted attributes. */
export function escapeMarkup(text: string): string {
  return text.replace(/[&<>"']/g, (character) => ENTITIES[character]!);
}

const ENTITIES: Record<string, string> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
};

function render(insert: Insert): string {
  if (insert instanceof Markup) return insert.text;
  if (typeof insert === 'string') return escapeMarkup(insert);
  if (typeof insert === 'number') return String(insert);
  if (Array.isArray(insert)) return insert.map(render).join('');
  return '';
}
