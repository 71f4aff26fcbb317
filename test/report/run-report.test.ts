// The report as a reader of the file sees it: everything is there, nothing comes from a network, nothing that was put
// in can become markup.

import { describe, expect, it } from 'vitest';
import type { EvaluationReport, ScorerMetrics } from '../../coordinator/evaluation/evaluation-report.js';
import {
  type PhaseRecord,
  type RunReportData,
  renderRunReport,
} from '../../coordinator/report/run-report.js';

const HOSTILE = `<img src=x onerror="alert('1')">&`;

describe('a whole report', () => {
  const html = renderRunReport(reportData());

  it('names every part with a heading', () => {
    const headings = [...html.matchAll(/<h2[^>]*>([^<]+)<\/h2>/g)].map((match) => match[1]);
    expect(headings).toEqual([
      'Quality against the baselines',
      'Learning curve',
      'Phases by worker',
      'Degree distributions',
      'Configuration',
    ]);
  });

  it('gives every chart a spoken label and its numbers as a table', () => {
    const figures = html.match(/<figure[\s\S]*?<\/figure>/g)!;
    expect(figures).toHaveLength(4);
    for (const figure of figures) {
      expect(figure.match(/<svg role="img" aria-label="[^"]{10,}"/g)).toHaveLength(2);
      expect(figure).toMatch(/<table>[\s\S]*<th scope="col">[\s\S]*<th scope="row">/);
    }
  });

  it('uses nothing from a network and runs no script', () => {
    expect(html).not.toMatch(/<script|<link|<img|<iframe|@import|url\(|\bon\w+=|https?:/i);
    expect(html).toContain("default-src 'none'");
  });

  it('draws one bar for each block that is wide enough to be seen', () => {
    const timeline = html.slice(html.indexOf('id="timeline"'), html.indexOf('id="degrees"'));
    const wide = timeline.slice(timeline.indexOf('chart wide'), timeline.indexOf('chart narrow'));
    expect(wide.match(/<rect/g)).toHaveLength(12);
    expect(wide).toContain('w1, epoch 1, users: one block, 40 ms');
  });

  it('writes every metric of every scorer with its interval', () => {
    expect(html).toContain('<th scope="col">popularity</th>');
    expect(html).toContain('<td>0.3100 (0.2900 to 0.3300)</td>');
    expect(html).toContain('EASE was left out: 27000 items are too many.');
  });

  it('shows the configuration and what each process took', () => {
    expect(html).toMatch(/<code>ials.alpha0<\/code><\/th><td>0.03<\/td>/);
    expect(html).toMatch(/coordinator<\/th><td>412 MB<\/td>/);
  });

  it('is the same for the same data', () => {
    expect(renderRunReport(reportData())).toBe(html);
  });
});

it('whatever is put in stays text', () => {
  const data = reportData();
  data.runId = HOSTILE;
  data.createTime = HOSTILE;
  data.summary = { model: HOSTILE, device: HOSTILE, note: HOSTILE, config: { [HOSTILE]: HOSTILE } };
  data.evaluation!.baselines.ease = { skipped: HOSTILE };
  for (const phase of data.phases) for (const block of phase.blocks) block.worker = HOSTILE;
  const html = renderRunReport(data);
  expect(html).not.toContain('<img');
  expect(
    html.match(/&lt;img src=x onerror=&quot;alert\(&#39;1&#39;\)&quot;&gt;&amp;/g)!.length,
  ).toBeGreaterThan(8);
  expectWellFormed(html);
});

it('every tag is closed, with and without each part', () => {
  const whole = reportData();
  const { evaluation: _, ...unmeasured } = reportData();
  const nobody: EvaluationReport = {
    usersEvaluated: 0,
    cutoffs: [10],
    model: { metrics: {}, intervals: {} },
    baselines: {},
  };
  const empty = { users: new Int32Array(0), items: Int32Array.of(0, 0) };
  const quiet = { ...whole, phases: whole.phases.map(({ loss: _loss, ...phase }) => phase) };
  for (const data of [
    whole,
    unmeasured,
    quiet,
    { ...whole, evaluation: nobody },
    { ...whole, phases: [] },
    { ...whole, degrees: empty, summary: {} },
  ]) {
    const html = renderRunReport(data);
    expectWellFormed(html);
    expect(html).not.toMatch(/NaN|Infinity|undefined|\[object/);
  }
  expect(renderRunReport(quiet)).toContain('Seconds by epoch');
  expect(renderRunReport({ ...whole, phases: [] })).toContain('No phase was completed');
  expect(renderRunReport({ ...whole, evaluation: nobody })).toContain('nothing to compare');
});

it('synthetic data are called synthetic at the top, real data are not', () => {
  expect(renderRunReport(reportData())).not.toContain('Synthetic data');
  const html = renderRunReport({ ...reportData(), synthetic: true });
  expect(html.indexOf('Synthetic data')).toBeLessThan(html.indexOf('<figure'));
  expect(html).toMatch(/<title>.*\(synthetic data\)<\/title>/);
});

it('a long run with many workers stays a page of bounded size', () => {
  const data = reportData();
  data.phases = Array.from({ length: 2000 }, (_, p) => phase(p, 60));
  expect(renderRunReport(data).length).toBeLessThan(4_000_000);
});

function reportData(): RunReportData {
  return {
    runId: 'run-7',
    createTime: '2026-01-02T03:04:05Z',
    synthetic: false,
    summary: {
      model: 'ials',
      users: 12345,
      seconds_total: 83.2,
      peak_rss_by_process: { coordinator: 412e6 },
      config: { 'ials.alpha0': 0.03 },
    },
    phases: Array.from({ length: 4 }, (_, p) => phase(p, 3)),
    evaluation: {
      usersEvaluated: 900,
      cutoffs: [10],
      model: scorer(0.31),
      baselines: {
        popular: scorer(0.1),
        itemknn: scorer(0.3),
        ease: { skipped: '27000 items are too many' },
      },
    },
    degrees: { users: Int32Array.of(1, 1, 5, 30, 0), items: Int32Array.of(12, 20, 5) },
  };
}

function phase(p: number, workers: number): PhaseRecord {
  const startMs = p * 100;
  const blocks = Array.from({ length: workers }, (_, w) => ({
    worker: `w${w + 1}`,
    block: w,
    startMs: startMs + w,
    endMs: startMs + w + 40,
  }));
  return {
    epoch: 1 + (p >> 1),
    side: p % 2 === 0 ? 'users' : 'items',
    startMs,
    endMs: startMs + 95,
    rows: 10,
    loss: 1000 / (p + 1),
    blocks,
  };
}

function scorer(rate: number): ScorerMetrics {
  return {
    metrics: { 'hr@10': rate, 'ndcg@10': rate / 2, 'coverage@10': 0.4 },
    intervals: { 'hr@10': [rate - 0.02, rate + 0.02], 'ndcg@10': [rate / 2 - 0.01, rate / 2 + 0.01] },
  };
}

function expectWellFormed(html: string): void {
  const open: string[] = [];
  for (const [, closing, tag, selfClosing] of html.matchAll(
    /<(\/?)([a-z][a-z0-9]*)\b(?:[^>"]|"[^"]*")*?(\/?)>/g,
  )) {
    if (selfClosing === '/' || tag === 'meta') continue;
    if (closing === '') open.push(tag!);
    else expect([tag, open.pop()]).toEqual([tag, tag]);
  }
  expect(open).toEqual([]);
}
