import { mkdir } from 'node:fs/promises';
import path from 'node:path';
import { createFileAtomic, explainDisk } from '../../common/atomic-files.js';
import { verifyAudit } from '../../federation/audit/audit-log.js';
import { signReceipt } from '../../federation/erasure/erasure-receipt.js';
import { ERASURES, PendingErasures } from '../../federation/erasure/pending-erasures.js';
import { receiptDue } from '../../federation/erasure/receipt-due.js';
import { tableHash } from '../../federation/protocol/input-hash.js';
import type { ParticipantIdentity } from './identity.js';
import type { ParticipantResult } from './participant.js';

export interface IssuedReceipts {
  /** Files, in the order of the erasures. */
  receipts: string[];
  /** Erasures that are still without one. */
  pending: number;
}

/**
 * Signs receipts for the learners whom a run was without, when its model is on disk. A receipt that an interrupted call
 * wrote stands.
 *
 * Without a federation's certificate nobody could check a receipt: erasures stay pending.
 *
 * @throws errors of `verifyAudit`, `PendingErasures.open`; {SystemError} `STOA_DISK_FULL`.
 */
export async function issueReceipts(
  stateDir: string,
  { identity, result, now }: { identity: ParticipantIdentity; result: ParticipantResult; now: Date },
): Promise<IssuedReceipts> {
  const erasures = await PendingErasures.open(stateDir);
  const { member } = identity;
  const receipts: string[] = [];
  if (erasures.all.length === 0 || member === undefined) return { receipts, pending: erasures.all.length };
  const { entries } = await verifyAudit(path.join(stateDir, 'audit'));
  const folder = path.join(stateDir, ERASURES, 'receipts');
  const { runId, firstRound } = result;
  const modelTime = now.toISOString();
  const itemFactors = Buffer.from(tableHash(result.items)).toString('hex');
  for (const { subject, erase_time: eraseTime } of erasures.all) {
    const due = receiptDue(eraseTime, { runId, firstRound, modelTime }, entries);
    if (due === undefined || eraseTime === undefined) continue;
    const receipt = signReceipt(
      {
        schema_version: 1,
        federation: member.federation,
        authority: member.authority,
        participant: member.name,
        subject,
        run_id: runId,
        round: due.round,
        basis: due.basis,
        model_version: runId,
        item_factors: itemFactors,
        erase_time: eraseTime,
        model_time: modelTime,
      },
      { sign: identity.sign, certificate: member.certificate.toString() },
    );
    const file = path.join(folder, `${subject}.json`);
    await mkdir(folder, { recursive: true }).catch((error: unknown) => {
      throw explainDisk(error, file);
    });
    await createFileAtomic(file, `${JSON.stringify(receipt, undefined, 2)}\n`);
    await erasures.settle(subject);
    receipts.push(file);
  }
  return { receipts, pending: erasures.all.length };
}
