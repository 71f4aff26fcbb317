// A federation of members as real processes: an authority, identities that joined, and runs one after another.

import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { systemClock } from '../../common/clock.js';
import { foundFederation } from '../../coordinator/enrolment/federation-folder.js';
import { MembershipRegister } from '../../coordinator/enrolment/membership-register.js';
import { joinFederation } from '../../federation/trust/membership.js';
import { type StoaProcess, startStoa } from './stoa-process.js';

const RUN_MS_MAX = 150_000;

export class MemberFederation {
  readonly authority: string;
  readonly #root: string;
  readonly #register: MembershipRegister;
  readonly #joined = new Set<string>();
  readonly #running = new Set<StoaProcess>();

  private constructor(root: string, register: MembershipRegister) {
    this.#root = root;
    this.#register = register;
    this.authority = path.join(root, 'federation', 'authority.pem');
  }

  static async found(root: string): Promise<MemberFederation> {
    await mkdir(root);
    const founded = await foundFederation(path.join(root, 'federation'), {
      name: 'open-courses',
      hosts: ['127.0.0.1'],
      now: new Date(),
    });
    await writeFile(path.join(root, 'policy.yaml'), 'cohort_min: 2\n');
    return new MemberFederation(root, new MembershipRegister(founded));
  }

  identityOf(name: string): string {
    return path.join(this.#root, 'identities', name);
  }

  modelOf(run: string, name: string): string {
    return path.join(this.#root, `${run}-${name}`);
  }

  /** Starts a run that waits for so many. */
  async open(run: string, participants: number, ...more: string[]) {
    const coordinator = this.#start([
      ...[
        'train',
        '--federated',
        '--listen',
        '127.0.0.1:0',
        '--federation',
        path.join(this.#root, 'federation'),
      ],
      ...['--participants', String(participants), '--out', path.join(this.#root, run), '--json'],
      ...['--set', 'federated.cohort_min=2', '--set', 'ials.factors=8', '--set', 'train.epochs=2', ...more],
    ]);
    const [, address] = await coordinator.saying(/ on (127\.0\.0\.1:\d+), waiting/);
    return { coordinator, address: address! };
  }

  /** Starts a member's participant; who is no member yet joins. */
  async participant(run: string, address: string, { name, data }: { name: string; data: string }) {
    const identity = this.identityOf(name);
    if (!this.#joined.has(name)) {
      const asked = { name, role: 'participant' as const, address, validMs: 60_000, now: new Date() };
      await joinFederation(await this.#register.invite(asked), identity, { clock: systemClock });
      this.#joined.add(name);
    }
    return this.#start([
      ...['participant', '--coordinator', address, '--data', data, '--identity', identity],
      ...['--policy', path.join(this.#root, 'policy.yaml'), '--out', this.modelOf(run, name)],
      ...['--threads', '1', '--device', 'portable', '--json'],
    ]);
  }

  /** A whole run. @returns what each participant said, in the order of the members. */
  async run(run: string, members: readonly { name: string; data: string }[]) {
    const { coordinator, address } = await this.open(run, members.length);
    const processes: StoaProcess[] = [];
    for (const member of members) processes.push(await this.participant(run, address, member));
    const outcomes = await Promise.all([...processes, coordinator].map(({ ended }) => ended));
    for (const { exitCode, stdout, stderr } of outcomes) {
      if (exitCode !== 0) throw new Error(`a process of ${run} ended with ${exitCode}: ${stdout}${stderr}`);
    }
    return outcomes.slice(0, -1).map(({ stdout }) => JSON.parse(stdout));
  }

  close(): void {
    for (const { child } of this.#running) child.kill('SIGKILL');
  }

  #start(args: readonly string[]): StoaProcess {
    const process = startStoa(args, { timeoutMs: RUN_MS_MAX });
    this.#running.add(process);
    process.ended.finally(() => this.#running.delete(process));
    return process;
  }
}
