// A coordinator's connection to one parameter process, for one generation of tables. Every call is safe to repeat, and
// is repeated while the process may yet answer; then it is lost.

import { setTimeout as sleep } from 'node:timers/promises';
import { formatAddress } from '../../common/addresses.js';
import { messageOf } from '../../common/errors.js';
import { GrpcLink, LINK_OPTIONS } from '../../common/grpc-link.js';
import { channelCredentials, type TlsOptions } from '../../common/grpc-security.js';
import { services } from '../../common/grpc-services.js';
import { decodeRows, encodeRows, rowsPerChunk } from '../../common/row-chunks.js';
import { sideName } from '../../common/sides.js';
import { writeMessage } from '../../common/write-message.js';
import type { Side } from '../../models/csr.js';
import type { OpenTablesRequest } from '../../proto/generated/stoa/parameters/v1/OpenTablesRequest.js';
import type { ParametersServiceClient } from '../../proto/generated/stoa/parameters/v1/ParametersService.js';
import type { TablesServiceClient } from '../../proto/generated/stoa/parameters/v1/TablesService.js';
import { HolderLost } from './holder-lost.js';
import type { Holder } from './holder-sessions.js';
import type { HolderTask } from './holder-tasks.js';
import { isWorthAnother } from './insistence.js';

const TABLES = services.parameters.v1.TablesService.service;
const RETRY_MS = 100;
/** Making room for tables of many gigabytes takes the system a while. */
const OPEN_MS = 60_000;
const FILL_MS = 60_000;

export interface TablesOfRun {
  readonly holderId: string;
  readonly runId: string;
  readonly generation: number;
  readonly factors: number;
}

interface FilledPart {
  readonly side: Side;
  readonly clock: number;
  readonly rowStart: number;
  readonly rows: Float32Array;
}

export class HolderLink extends GrpcLink {
  readonly holder: Holder;
  readonly #run: TablesOfRun;
  readonly #tables: TablesServiceClient;
  readonly #parameters: ParametersServiceClient;
  readonly #gone = new AbortController();
  readonly #onFailed: (loss: HolderLost) => void;

  /** @param onFailed told of calls that have failed for good, not of those that were ended by `abandon`. */
  constructor(holder: Holder, run: TablesOfRun, tls: TlsOptions, onFailed: (loss: HolderLost) => void) {
    super(holder.address);
    this.holder = holder;
    this.#run = run;
    this.#onFailed = onFailed;
    const target = formatAddress(holder.address);
    const credentials = channelCredentials(holder.address.host, tls);
    this.#tables = new services.parameters.v1.TablesService(target, credentials, LINK_OPTIONS);
    this.#parameters = new services.parameters.v1.ParametersService(target, credentials, LINK_OPTIONS);
  }

  /** Errors of all calls: {HolderLost}. */
  async open(request: OpenTablesRequest): Promise<void> {
    await this.#insist(
      (signal) => this.call(this.#tables, TABLES.OpenTables, request, { signal, timeoutMs: OPEN_MS }),
      'open',
    );
  }

  /** Writes rows of a clock. */
  fill(side: Side, clock: number, rowStart: number, rows: Float32Array): Promise<void> {
    return this.#insist((signal) => this.#fill({ side, clock, rowStart, rows }, signal));
  }

  async perform(task: HolderTask): Promise<void> {
    const key = this.#key;
    if (task.kind === 'accept') {
      const { results } = task;
      await this.#insist((signal) =>
        this.call(this.#tables, TABLES.AcceptResults, { key, results }, { signal }),
      );
      return;
    }
    const { side, clock, isBest } = task;
    const request = { key, side: sideName(side), clock, isBest };
    await this.#insist((signal) => this.call(this.#tables, TABLES.CommitTable, request, { signal }));
  }

  /** Reads rows of one part at a clock, in order, whole rows at a time. */
  async *pull(side: Side, clock: number, rowStart: number, rowEnd: number): AsyncGenerator<Float32Array> {
    const { runId, factors } = this.#run;
    let progressMs = performance.now();
    for (let row = rowStart; row < rowEnd; ) {
      const ranges = [{ rowStart: row, rowEnd }];
      const call = this.#parameters.PullRows({ runId, side: sideName(side), clock, ranges });
      try {
        for await (const { chunk } of this.stream(call, this.#gone.signal)) {
          const rows = decodeRows(chunk!, factors);
          row += rows.length / factors;
          yield rows;
          progressMs = performance.now();
        }
      } catch (error) {
        if (!this.#isWorthAnother(error, performance.now() - progressMs)) throw this.#lose(error);
        await sleep(RETRY_MS);
      }
    }
  }

  async releaseTables(): Promise<void> {
    await this.call(this.#tables, TABLES.CloseTables, { key: this.#key }, { timeoutMs: 1000 });
  }

  /** The process is not there any more: ends calls under way. */
  abandon(loss: HolderLost): void {
    this.#gone.abort(loss);
  }

  close(): void {
    this.#tables.close();
    this.#parameters.close();
  }

  get #key() {
    const { holderId, runId, generation } = this.#run;
    return { holderId, runId, generation };
  }

  #fill({ side, clock, rowStart, rows }: FilledPart, signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const call = this.#tables.FillTable({ deadline: Date.now() + FILL_MS }, (error) => {
        signal.removeEventListener('abort', onAbort);
        if (error === null) resolve();
        else reject(signal.aborted ? signal.reason : this.explain(error));
      });
      const onAbort = () => call.cancel();
      signal.addEventListener('abort', onAbort, { once: true });
      const write = async () => {
        const { factors } = this.#run;
        await writeMessage(call, { key: this.#key });
        const step = rowsPerChunk(factors);
        for (let row = 0; row * factors < rows.length; row += step) {
          const piece = rows.subarray(row * factors, (row + step) * factors);
          const chunk = encodeRows(piece, rowStart + row);
          await writeMessage(call, { filled: { side: sideName(side), clock, chunk } });
        }
        call.end();
      };
      // Why writing failed is what the answer says.
      write().catch(() => call.cancel());
    });
  }

  async #insist<T>(call: (signal: AbortSignal) => Promise<T>, what?: 'open'): Promise<T> {
    const begunMs = performance.now();
    for (;;) {
      try {
        return await call(this.#gone.signal);
      } catch (error) {
        if (!this.#isWorthAnother(error, performance.now() - begunMs, what)) throw this.#lose(error);
        await sleep(RETRY_MS);
      }
    }
  }

  #isWorthAnother(error: unknown, insistedMs: number, what?: 'open'): boolean {
    return !this.#gone.signal.aborted && isWorthAnother(error, insistedMs, what);
  }

  #lose(error: unknown): HolderLost {
    if (error instanceof HolderLost) return error;
    const { name } = this.holder;
    const message = `parameter process ${name} at ${this.target} failed: ${messageOf(error)}`;
    const loss = new HolderLost(message, false, error);
    this.#onFailed(loss);
    return loss;
  }
}
