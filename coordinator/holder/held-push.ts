// A result on its way into a parameter process, whatever brings its parts. Nothing of it counts until the coordinator
// says so. Pure.

import { crc32c } from '../../common/checksums.js';
import { bytesOf } from '../../common/row-chunks.js';
import { sideOf } from '../../common/sides.js';
import type { BlockHeader__Output } from '../../proto/generated/stoa/parameters/v1/BlockHeader.js';
import type { PushBlockRequest__Output } from '../../proto/generated/stoa/parameters/v1/PushBlockRequest.js';
import type { PushBlockResponse } from '../../proto/generated/stoa/parameters/v1/PushBlockResponse.js';
import type { PushStepRequest__Output } from '../../proto/generated/stoa/parameters/v1/PushStepRequest.js';
import type { PushStepResponse } from '../../proto/generated/stoa/parameters/v1/PushStepResponse.js';
import type { StepHeader__Output } from '../../proto/generated/stoa/parameters/v1/StepHeader.js';
import { signReceipt } from '../holders/receipt.js';
import { copyRows, RowsIntake } from '../parameters/delivery.js';
import { StepIntake } from '../parameters/step-delivery.js';
import { type HeldTables, sideOfTables, stepsOf } from './held-tables.js';

type Outlook = 'held' | 'duplicate' | 'stale';

const DISPOSITIONS = {
  held: 'DISPOSITION_HELD',
  duplicate: 'DISPOSITION_DUPLICATE',
  stale: 'DISPOSITION_STALE',
} as const;

/** The rows of a block. Errors of all calls: as `HeldTables.ofRun`, `RowsIntake` and `copyRows`. */
export class HeldBlockPush {
  /** What would become of the rows; they are taken only where they may yet count. */
  readonly outlook: Outlook;
  readonly #tables: HeldTables;
  readonly #header: BlockHeader__Output;
  readonly #intake: RowsIntake | undefined;

  constructor(tables: HeldTables, header: BlockHeader__Output) {
    this.#tables = tables;
    this.#header = header;
    this.outlook = this.#table.outlook(header.block, header.clock);
    if (this.outlook === 'held') this.#intake = new RowsIntake(this.#table.shapeOf(header.block));
  }

  take(part: PushBlockRequest__Output): void {
    this.#intake!.take(part);
  }

  /** At one moment: nothing else happens in between. */
  end(): PushBlockResponse {
    const { runId, leaseId, block, clock } = this.#header;
    const side = sideOf(this.#header.side);
    const chunks = this.#intake?.end() ?? [];
    const { secret, holderId } = this.#tables.ofRun(runId);
    const table = this.#table;
    // While its rows came in, another result may have counted, or the phase ended.
    const outlook = table.outlook(block, clock);
    if (outlook !== 'held') return { disposition: DISPOSITIONS[outlook] };
    let digest = 0;
    table.hold(block, leaseId, (out) => {
      copyRows({ side, chunks }, table.shapeOf(block), out, undefined);
      digest = crc32c(bytesOf(out));
    });
    const signature = signReceipt(secret, { holderId, runId, leaseId, side, block, clock, digest });
    return { disposition: 'DISPOSITION_HELD', receipt: { digest, signature } };
  }

  get #table() {
    return sideOfTables(this.#tables.ofRun(this.#header.runId), sideOf(this.#header.side));
  }
}

/** A part of an update. Errors of all calls: as `HeldTables.ofRun` and `StepIntake`; {ShapeError} items of elsewhere. */
export class HeldStepPush {
  readonly outlook: Outlook;
  readonly #tables: HeldTables;
  readonly #header: StepHeader__Output;
  readonly #intake: StepIntake | undefined;

  constructor(tables: HeldTables, header: StepHeader__Output) {
    this.#tables = tables;
    this.#header = header;
    const steps = stepsOf(tables.ofRun(header.runId));
    this.outlook = steps.outlook(header.block, header.clock + 1);
    if (this.outlook === 'held') this.#intake = new StepIntake(header, steps.shapeOf(header.block));
  }

  take(part: PushStepRequest__Output): void {
    this.#intake!.take(part);
  }

  /** At one moment. */
  end(): PushStepResponse {
    const { runId, block, leaseId } = this.#header;
    const { users, deltas, clock } = this.#intake!.end();
    const open = this.#tables.ofRun(runId);
    stepsOf(open).hold(block, { leaseId, clock, users, deltas });
    const digest = crc32c(bytesOf(deltas.deltas), crc32c(bytesOf(users)));
    const { holderId, secret } = open;
    const signature = signReceipt(secret, { holderId, runId, leaseId, side: 'users', block, clock, digest });
    return { disposition: 'DISPOSITION_HELD', receipt: { digest, signature } };
  }
}

/** What a sender is told whose rows are not taken. */
export function dispositionOf(outlook: Outlook): (typeof DISPOSITIONS)[Outlook] {
  return DISPOSITIONS[outlook];
}
