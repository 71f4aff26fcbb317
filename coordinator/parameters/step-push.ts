import { crc32c } from '../../common/checksums.js';
import { messageOf, NumericError, ShapeError } from '../../common/errors.js';
import { bytesOf } from '../../common/row-chunks.js';
import type { PushStepRequest__Output } from '../../proto/generated/stoa/parameters/v1/PushStepRequest.js';
import type { StepHeader__Output } from '../../proto/generated/stoa/parameters/v1/StepHeader.js';
import type { Disposition } from '../schedule/events.js';
import { type StepDelivery, StepIntake } from './step-delivery.js';
import type { StepHost } from './step-service.js';

/**
 * One delivery of a block for one clock, from its header to what becomes of it, whatever brings its parts; refuses as
 * `BlockPush` does. Errors as `StepIntake`.
 */
export class StepPush {
  /** What would become of the result by its header; parts are taken only of one that may be accepted. */
  readonly outlook: Disposition;
  readonly #host: StepHost;
  readonly #header: StepHeader__Output;
  #isHeld = false;
  #intake: StepIntake | undefined;

  constructor(host: StepHost, header: StepHeader__Output) {
    this.#host = host;
    this.#header = header;
    this.outlook = host.judge(header);
    if (this.outlook !== 'accepted') return;
    this.#refusing(() => {
      const shape = host.shapeOf(header);
      this.#isHeld = host.hasReceipts(header);
      // What parameter processes have does not come here.
      const { rowStart } = shape;
      this.#intake = new StepIntake(header, this.#isHeld ? { ...shape, rowEnd: rowStart, items: 0 } : shape);
    });
  }

  take(part: PushStepRequest__Output): void {
    this.#refusing(() => this.#intake!.take(part));
  }

  /** All parts are there. */
  end(): Disposition {
    return this.#refusing(() => {
      const received = this.#intake!.end();
      const isAudited = this.#host.isAudited(this.#header);
      if (this.#isHeld) {
        const parts = [...this.#header.parts].sort((a, b) => a.holder - b.holder);
        const digest = isAudited
          ? crc32c(bytesOf(Float64Array.from(parts, ({ receipt }) => receipt!.digest)))
          : undefined;
        return this.#host.deliver({ ...received, heldBy: parts.map(({ holder }) => holder), digest });
      }
      const delivery = isAudited ? { ...received, digest: digestOf(received) } : received;
      this.#host.moved('in', 'message', delivery.users.byteLength + delivery.deltas.deltas.byteLength);
      return this.#host.deliver(delivery);
    });
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

function digestOf({ users, deltas }: StepDelivery): number {
  return crc32c(bytesOf(deltas.deltas), crc32c(bytesOf(users)));
}
