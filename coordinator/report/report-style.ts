// The report's style sheet: two colour schemes by the reader's setting, and light on paper.

/**
 * Blue marks users and the model, orange items, grey the baselines: pairs that keep apart for colour-blind readers
 * and on both backgrounds. Text is never coloured by series.
 */
const LIGHT = `
  --page: #f6f7f9; --surface: #ffffff; --ink: #14171c; --soft: #515967; --line: #dfe3e8;
  --users: #2468c0; --items: #d2601a; --muted: #868e9b; --note: #fff4d6; --note-ink: #5c4300;`;
const DARK = `
  --page: #111418; --surface: #1a1e24; --ink: #eceff3; --soft: #a9b2bf; --line: #333a44;
  --users: #5a9bec; --items: #ee8a4a; --muted: #8d96a3; --note: #3a2f10; --note-ink: #ffe2a0;`;

export const REPORT_STYLE = `
:root { color-scheme: light dark; ${LIGHT} }
@media (prefers-color-scheme: dark) { :root { ${DARK} } }
@media print { :root { color-scheme: light; ${LIGHT} --page: #ffffff; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--page); color: var(--ink);
  font: 16px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", "DejaVu Sans", sans-serif; }
main { max-width: 1080px; margin: 0 auto; padding: 24px 16px 48px; }
h1 { font-size: 1.6rem; line-height: 1.25; margin: 0; overflow-wrap: anywhere; }
h2 { font-size: 1.15rem; margin: 0; }
.when { margin: 4px 0 0; color: var(--soft); }
.note { background: var(--note); color: var(--note-ink); padding: 8px 12px; border-radius: 6px; margin: 16px 0 0; }
figure, section { margin: 16px 0 0; background: var(--surface); border: 1px solid var(--line); border-radius: 8px;
  padding: 16px 20px; }
.facts { display: grid; grid-template-columns: repeat(auto-fill, minmax(148px, 1fr)); gap: 12px 20px; margin: 0; }
.facts dt { color: var(--soft); font-size: 0.85rem; }
.facts dd { margin: 0; font-size: 1.15rem; overflow-wrap: anywhere; }
.caption { color: var(--soft); margin: 4px 0 12px; max-width: 72ch; }
.legend { margin: 0 0 12px; color: var(--soft); font-size: 0.9rem; }
.key { margin-right: 16px; white-space: nowrap; }
.chart.narrow { display: none; }
.chart svg { display: block; max-width: 100%; height: auto; }
details { margin-top: 12px; }
summary { cursor: pointer; color: var(--soft); }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; margin-top: 8px; font-size: 0.9rem; font-variant-numeric: tabular-nums; }
th, td { padding: 4px 16px 4px 0; border-bottom: 1px solid var(--line); text-align: left; vertical-align: top; }
thead th { color: var(--soft); font-weight: 600; }
tbody th { font-weight: 400; }
figure th, figure td { white-space: nowrap; }
section td { overflow-wrap: anywhere; }
code { font: 0.9em ui-monospace, "DejaVu Sans Mono", Consolas, monospace; }
svg text { fill: var(--soft); font-size: 12px; font-family: inherit; font-variant-numeric: tabular-nums; }
svg text.label, svg text.panel { fill: var(--ink); font-weight: 600; }
svg text.panel { font-size: 13px; }
svg .middle { text-anchor: middle; }
svg .end { text-anchor: end; }
svg .grid { stroke: var(--line); stroke-width: 1; }
svg .base { stroke: var(--muted); stroke-width: 1; }
svg .curve { fill: none; stroke: var(--muted); stroke-width: 1.5; }
svg .users { fill: var(--users); }
svg .items { fill: var(--items); }
svg .muted { fill: var(--muted); }
svg line.users { stroke: var(--users); }
svg line.muted { stroke: var(--muted); }
svg .whisker { stroke-width: 3; stroke-linecap: round; opacity: 0.55; }
@media (max-width: 640px) {
  main { padding: 16px 8px 32px; }
  figure, section { padding: 12px; }
  .chart.wide { display: none; }
  .chart.narrow { display: block; }
}
@media print {
  body { font-size: 11pt; }
  figure, section { break-inside: avoid; border-color: #cccccc; }
  .chart.wide { display: block; }
  .chart.narrow { display: none; }
}
`;
