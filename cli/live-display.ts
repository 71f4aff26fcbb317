// Shows work in progress on stderr: a block of lines drawn again and again on a terminal, log lines elsewhere.

import type { Output } from './output.js';

/** Log lines no closer than this: enough to see that it goes on, few enough to read afterwards. */
const LINE_INTERVAL_MS = 1000;

/** Redraws no closer than this; an eye sees no more. */
const DRAW_INTERVAL_MS = 50;

/** What stands on the screen now: the drawn lines, and the same in one line for logs. */
export interface Frame {
  lines: readonly string[];
  line: string;
  /** A line worth a log entry even when the last one is younger than a second: a new phase, an end. */
  isMilestone?: boolean;
}

export interface LiveDisplay {
  show(frame: Frame): void;
  /** A lasting line above what is shown. */
  print(line: string): void;
  /** Removes what is drawn; lasting lines stay. Safe to call twice. */
  close(): void;
}

/** A display for the output's modes: none with --quiet, drawn on a terminal, log lines otherwise. */
export async function openDisplay(
  output: Output,
  now = (): number => performance.now(),
): Promise<LiveDisplay> {
  if (output.modes.quiet) return { show: () => {}, print: () => {}, close: () => {} };
  if (!output.isTerminal) return new LineDisplay((text) => output.remark(text), now);
  const { createLogUpdate } = await import('log-update');
  const draw = createLogUpdate(process.stderr);
  return new DrawnDisplay(draw, (text) => output.remark(text), now);
}

/** At most one line a second, and never the same line twice in a row. */
export class LineDisplay implements LiveDisplay {
  private lastMs = Number.NEGATIVE_INFINITY;
  private lastLine = '';

  constructor(
    private readonly write: (line: string) => void,
    private readonly now: () => number,
  ) {}

  show({ line, isMilestone }: Frame): void {
    const nowMs = this.now();
    const isDue = nowMs - this.lastMs >= LINE_INTERVAL_MS;
    if (line === this.lastLine || (!isDue && isMilestone !== true)) return;
    this.lastMs = nowMs;
    this.lastLine = line;
    this.write(line);
  }

  print(line: string): void {
    this.write(line);
  }

  close(): void {}
}

type Draw = ((text: string) => void) & { clear(): void; done(): void };

/** Lines drawn in place; a frame that comes too early waits for its turn, the newest wins. */
class DrawnDisplay implements LiveDisplay {
  private lastMs = Number.NEGATIVE_INFINITY;
  private waiting: NodeJS.Timeout | undefined;
  private text = '';

  constructor(
    private readonly draw: Draw,
    private readonly write: (line: string) => void,
    private readonly now: () => number,
  ) {}

  show(frame: Frame): void {
    this.text = frame.lines.join('\n');
    if (this.waiting !== undefined) return;
    const waitMs = this.lastMs + DRAW_INTERVAL_MS - this.now();
    if (waitMs <= 0) this.redraw();
    else this.waiting = setTimeout(() => this.redraw(), waitMs);
  }

  print(line: string): void {
    this.draw.clear();
    this.write(line);
    if (this.text !== '') this.draw(this.text);
  }

  close(): void {
    clearTimeout(this.waiting);
    this.waiting = undefined;
    this.text = '';
    this.draw.clear();
    this.draw.done();
  }

  private redraw(): void {
    clearTimeout(this.waiting);
    this.waiting = undefined;
    this.lastMs = this.now();
    this.draw(this.text);
  }
}
