// When to stop: Ctrl-C, SIGTERM, or a parent that is gone. The first asks in good order, the second ends at once.

/** Exit code of a program that was interrupted, by the custom of shells (128 + SIGINT). */
const INTERRUPTED = 130;

/** A process whose parent is gone has this long to end in good order. */
const ORPHAN_GRACE_MS = 5000;

/** What the next signal calls; absent: it ends the process. */
let onFirstSignal: (() => void) | undefined;

/**
 * Takes over the signals of the process, so that `process.on('exit')` handlers clean up in every case.
 *
 * A process that was forked with an IPC channel lives with its parent: it stops when the channel breaks, however the
 * parent went, and leaves Ctrl-C, which a terminal sends to the whole group, to the parent.
 */
export function handleSignals(): void {
  process.on('SIGTERM', receiveSignal);
  if (process.connected !== true) {
    process.on('SIGINT', receiveSignal);
    return;
  }
  process.on('SIGINT', () => {});
  process.on('disconnect', () => {
    setTimeout(() => process.exit(1), ORPHAN_GRACE_MS).unref();
    receiveSignal();
  });
}

/**
 * Runs something that can stop in good order when it is asked to: the first signal aborts its signal, the second
 * exits at once with 130.
 *
 * @param onFirst called on the first signal, to tell the user what happens now.
 */
export async function interruptible<T>(
  work: (signal: AbortSignal) => Promise<T>,
  onFirst: () => void = () => {},
): Promise<T> {
  const abort = new AbortController();
  onFirstSignal = () => {
    onFirst();
    abort.abort();
  };
  try {
    return await work(abort.signal);
  } finally {
    onFirstSignal = undefined;
  }
}

/** Resolves when a signal is aborted. */
export function untilAborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve(), { once: true });
  });
}

function receiveSignal(): void {
  const stop = onFirstSignal;
  onFirstSignal = undefined;
  if (stop === undefined) process.exit(INTERRUPTED);
  stop();
}
