import type { EventQueue } from './event-queue.js';
import type { Reply } from './simulated-life.js';
import type { SimulatedNetwork } from './simulated-network.js';
import type { Trace } from './trace.js';

/** A worker's or a parameter process's machine: it may be gone or frozen, has a clock of its own, and calls others. */
export class SimulatedMachine {
  isGone = false;
  #frozenUntilMs = 0;
  readonly #world: { readonly queue: EventQueue; readonly network: SimulatedNetwork; readonly trace: Trace };
  readonly #o: { readonly node: string; readonly name: string; readonly clockRate: number };

  constructor(
    world: { readonly queue: EventQueue; readonly network: SimulatedNetwork; readonly trace: Trace },
    options: { readonly node: string; readonly name: string; readonly clockRate: number },
  ) {
    this.#world = world;
    this.#o = options;
  }

  freeze(forMs: number): void {
    this.#frozenUntilMs = this.#world.queue.nowMs + forMs;
    this.say('freezes for', Math.round(forMs));
  }

  /** Does something after a time by the machine's own clock, unless it is gone by then. */
  later(delayMs: number, run: () => void): void {
    this.#world.queue.after(delayMs / this.#o.clockRate, () => this.awake(run));
  }

  /**
   * A call over the network, of which one answer is taken, the first.
   *
   * @param onError with the code; '' means that no answer came in time.
   * @param to the node that is called.
   */
  call<T>(
    serve: (reply: (reply: Reply<T>) => void) => void,
    onValue: (value: T) => void,
    onError: (error: string) => void,
    timeoutMs: number,
    to = 'c',
  ): void {
    const { network } = this.#world;
    const { node } = this.#o;
    let isSettled = false;
    const settle = (act: () => void) => {
      if (isSettled) return;
      isSettled = true;
      act();
    };
    const reply = (answer: Reply<T>) => {
      network.send(to, node, () =>
        this.awake(() => settle(() => ('value' in answer ? onValue(answer.value) : onError(answer.error)))),
      );
    };
    network.send(node, to, () => serve(reply));
    this.later(timeoutMs, () => settle(() => onError('')));
  }

  say(what: string, ...details: readonly unknown[]): void {
    const { node, name } = this.#o;
    this.#world.trace.add(this.#world.queue.nowMs, `${node} (${name})`, what, ...details);
  }

  /** Does something now, or when the machine is not frozen any more; never when it is gone. */
  awake(run: () => void): void {
    if (this.isGone) return;
    const { queue } = this.#world;
    if (queue.nowMs >= this.#frozenUntilMs) run();
    else queue.at(this.#frozenUntilMs, () => this.awake(run));
  }
}
