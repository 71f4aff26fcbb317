import { crc32c } from '../../common/checksums.js';
import { messageOf, NumericError, ShapeError } from '../../common/errors.js';
import { bytesOf } from '../../common/row-chunks.js';
import type { BlockHeader__Output } from '../../proto/generated/stoa/parameters/v1/BlockHeader.js';
import type { PushBlockRequest__Output } from '../../proto/generated/stoa/parameters/v1/PushBlockRequest.js';
import type { Disposition } from '../schedule/events.js';
import { BlockIntake, type BlockShape, copyRows, type ReceivedBlock } from './delivery.js';
import type { ParameterHost } from './parameters-service.js';

/**
 * One delivery of a block from its header to what becomes of it, whatever brings its parts. A result of the wrong shape
 * or with numbers that are not finite is refused: its lease ends as failed. Errors as `BlockIntake` and `copyRows`.
 */
export class BlockPush {
  /** What would become of the result by its header; parts are taken only of one that may be accepted. */
  readonly outlook: Disposition;
  readonly #host: ParameterHost;
  readonly #header: BlockHeader__Output;
  #isHeld = false;
  #shape: BlockShape | undefined;
  #intake: BlockIntake | undefined;

  constructor(host: ParameterHost, header: BlockHeader__Output) {
    this.#host = host;
    this.#header = header;
    this.outlook = host.judge(header);
    if (this.outlook !== 'accepted') return;
    this.#refusing(() => {
      const shape = host.shapeOf(header);
      this.#isHeld = host.hasReceipt(header);
      // Rows that a parameter process has do not come here.
      this.#shape = this.#isHeld ? { ...shape, rowEnd: shape.rowStart } : shape;
      this.#intake = new BlockIntake(header, this.#shape);
    });
  }

  take(part: PushBlockRequest__Output): void {
    this.#refusing(() => this.#intake!.take(part));
  }

  /** All parts are there. */
  end(): Disposition {
    return this.#refusing(() => this.#deliver(this.#intake!.end(), this.#shape!));
  }

  /** Copies the result into the tables and delivers it, at one moment: nothing else happens in between. */
  #deliver(received: ReceivedBlock, shape: BlockShape): Disposition {
    const host = this.#host;
    // While its rows came in, another delivery of the block may have been accepted.
    const outlook = host.judge(this.#header);
    if (outlook !== 'accepted') return outlook;
    const { delivery, chunks } = received;
    if (this.#isHeld) {
      const { digest } = this.#header.receipt!;
      if (host.isAudited(this.#header)) delivery.digest = crc32c(bytesOf(delivery.gram), digest);
      return host.deliver(delivery);
    }
    const rows = host.store(delivery.runId).tables.next(delivery.side, shape.rowStart, shape.rowEnd);
    copyRows({ side: delivery.side, chunks }, shape, rows, host.exchange(delivery.sessionId));
    for (const chunk of chunks) {
      const way = chunk.exchangedRows > 0 ? 'exchange' : 'message';
      host.moved('in', way, chunk.rows.length + chunk.exchangedRows * shape.factors * 4);
    }
    if (host.isAudited(this.#header)) {
      delivery.digest = crc32c(bytesOf(delivery.gram), crc32c(bytesOf(rows)));
    }
    return host.deliver(delivery);
  }

  #refusing<T>(act: () => T): T {
    try {
      return act();
    } catch (error) {
      const isWrong = error instanceof ShapeError || error instanceof NumericError;
      if (isWrong) this.#host.refuse(this.#header, messageOf(error));
      throw error;
    }
  }
}
