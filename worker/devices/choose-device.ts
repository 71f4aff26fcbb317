// Which device computes, and why: by name, or for `auto` by a short measurement of those that work.

import { DeviceError, messageOf, UsageError } from '../../common/errors.js';
import type { ComputeDevice, DeviceFactory, InstructionSet } from '../../models/device.js';
import { type NamedDevice, parseDeviceName } from './device-names.js';
import { type DeviceNeeds, lackOf } from './device-needs.js';
import { isGpu } from './is-gpu.js';
import { measureSpeed } from './measure-speed.js';

/** More threads than this on one device is a mistyped number. */
const THREADS_MAX = 1024;

export interface DeviceRequest {
  /** 1 to 1024. */
  readonly threads: number;
  /** Instruction set of the native device: others do not count then. */
  readonly isa?: InstructionSet;
  /** Fail rather than take what is no real GPU. */
  readonly isGpuRequired?: boolean;
  /** What a run asks for: `auto` takes only what has it, a named device that lacks it is refused. */
  readonly needs?: DeviceNeeds;
}

/** A device that was not taken. */
export interface PassedOver {
  readonly name: string;
  readonly reason: string;
  /** What to do about it; empty when there is nothing to do. */
  readonly remedy: string;
}

export interface DeviceChoice {
  /** What `--device` takes to mean this device and no other. */
  readonly name: string;
  readonly device: ComputeDevice;
  /** Why this one, in a few words. */
  readonly reason: string;
  readonly passedOver: readonly PassedOver[];
  /** Its speed, where it was measured to choose. */
  readonly gflops?: number;
}

/**
 * Opens the device of a name; `auto` is the fastest that works here.
 *
 * @throws {UsageError} unknown name (names the nearest), a number of threads that is none, `isa` for another device.
 * @throws {DeviceError} `STOA_DEVICE`: the device does not work here, lacks what is needed or is no GPU where one is
 *   required; says why and what to do.
 */
export async function chooseAmong(
  factories: readonly DeviceFactory[],
  name: string,
  request: DeviceRequest,
): Promise<DeviceChoice> {
  checkThreads(request.threads);
  const named = parseDeviceName(name, factories);
  return named === 'auto' ? chooseFastest(factories, request) : openNamed(name, named, request);
}

async function openNamed(
  name: string,
  { factory, provider }: NamedDevice,
  request: DeviceRequest,
): Promise<DeviceChoice> {
  const { isa, needs } = request;
  if (isa !== undefined && factory.kind !== 'native') {
    throw new UsageError(
      'STOA_USAGE',
      `--isa is for the native device, not for ${name}; leave one of them out`,
      {
        fields: { field: '--isa' },
      },
    );
  }
  const device = await open(name, { factory, provider }, request);
  try {
    if (request.isGpuRequired === true && needs?.solver === 'sgd') {
      throw new DeviceError(
        'STOA_DEVICE',
        '--require-gpu: steps of stochastic gradient descent have no kernels for GPUs; leave --require-gpu out',
        { fields: { field: '--require-gpu' } },
      );
    }
    if (request.isGpuRequired === true && !isGpu(device.info)) {
      const what = device.info.isSoftware ? 'an emulated GPU' : 'no GPU';
      throw new DeviceError(
        'STOA_DEVICE',
        `--require-gpu: device "${name}" is ${what} (${device.info.name}); choose --device webgpu or auto on a machine with a GPU, or leave --require-gpu out`,
        { fields: { field: '--require-gpu' } },
      );
    }
    const lack = needs && lackOf(device.capabilities, needs);
    if (lack !== undefined) {
      throw new DeviceError('STOA_DEVICE', `device "${name}" ${lack}`, { fields: { field: '--device' } });
    }
    return { name, device, reason: `named by --device ${name}`, passedOver: [] };
  } catch (error) {
    await device.dispose();
    throw error;
  }
}

async function open(
  name: string,
  { factory, provider }: NamedDevice,
  { threads, isa }: DeviceRequest,
): Promise<ComputeDevice> {
  const probe = await factory.probe(provider === undefined ? undefined : { provider });
  if (!probe.ok) {
    throw new DeviceError(
      'STOA_DEVICE',
      `device "${name}" does not work here: ${probe.reason}; ${probe.remedy}`,
      { fields: { field: '--device' } },
    );
  }
  return factory.open({ threads, provider, isa });
}

interface Candidate {
  name: string;
  device: ComputeDevice;
}

async function chooseFastest(
  factories: readonly DeviceFactory[],
  request: DeviceRequest,
): Promise<DeviceChoice> {
  const passedOver: PassedOver[] = [];
  const candidates: Candidate[] = [];
  for (const factory of factories) {
    const found = await candidateOf(factory, request);
    if ('device' in found) candidates.push(found);
    else passedOver.push(found);
  }
  if (candidates.length === 0) throw nothingWorks(passedOver, request);
  if (candidates.length === 1) {
    const [{ name, device }] = candidates as [Candidate];
    return { name, device, reason: 'the only one that serves here', passedOver };
  }
  const measured: (Candidate & { gflops: number })[] = [];
  for (const candidate of candidates) {
    try {
      measured.push({ ...candidate, gflops: await measureSpeed(candidate.device) });
    } catch (error) {
      await candidate.device.dispose();
      const reason = `it failed a trial: ${messageOf(error)}`;
      passedOver.push({ name: candidate.name, reason, remedy: '"stoa doctor" says more' });
    }
  }
  const [fastest, ...others] = measured.sort((a, b) => b.gflops - a.gflops);
  if (fastest === undefined) throw nothingWorks(passedOver, request);
  await Promise.all(others.map(({ device }) => device.dispose()));
  const speeds = measured.map(({ name, gflops }) => `${name} ${gflops.toPrecision(2)}`).join(', ');
  const { name, device, gflops } = fastest;
  for (const other of others) passedOver.push({ name: other.name, reason: 'it is slower', remedy: '' });
  const reason =
    others.length === 0 ? 'the only one that serves here' : `the fastest here: ${speeds} GFLOP/s`;
  return { name, device, reason, passedOver, gflops };
}

/** Opens a device of a factory for `auto`, or says why there is none: the first provider's reason. */
async function candidateOf(factory: DeviceFactory, request: DeviceRequest): Promise<Candidate | PassedOver> {
  const { kind, providers, autoProviders = [] } = factory;
  if (request.isa !== undefined && kind !== 'native') {
    return { name: kind, reason: '--isa is for the native device', remedy: 'leave --isa out' };
  }
  if (providers === undefined) return tryOut({ factory, provider: undefined }, kind, request);
  let passedOver: PassedOver | undefined;
  for (const provider of autoProviders) {
    const found = await tryOut({ factory, provider }, `${kind}:${provider}`, request);
    if ('device' in found) return found;
    passedOver ??= found;
  }
  return passedOver ?? { name: kind, reason: 'it is for who names it', remedy: `--device ${kind} takes it` };
}

async function tryOut(
  { factory, provider }: NamedDevice,
  name: string,
  request: DeviceRequest,
): Promise<Candidate | PassedOver> {
  try {
    const probe = await factory.probe(provider === undefined ? undefined : { provider });
    if (!probe.ok) return { name, reason: probe.reason, remedy: probe.remedy };
    const { info } = probe;
    if (info.isSoftware) {
      const remedy = `--device ${name} takes it all the same`;
      return { name, reason: `it is an emulated GPU (${info.name})`, remedy };
    }
    if (request.isGpuRequired === true && !isGpu(info)) return { name, reason: 'it is no GPU', remedy: '' };
    const device = await factory.open({ threads: request.threads, provider, isa: request.isa });
    const lack = lackForAuto(device, request.needs);
    if (lack === undefined) return { name, device };
    await device.dispose();
    return { name, reason: `it ${lack}`, remedy: '' };
  } catch (error) {
    return { name, reason: messageOf(error), remedy: '"stoa doctor" says more' };
  }
}

/** Of devices that would leave the steps of a run to others, none is taken for them. */
function lackForAuto(device: ComputeDevice, needs: DeviceNeeds | undefined): string | undefined {
  if (needs === undefined) return undefined;
  const { descent, info, capabilities } = device;
  const leavesSteps = descent === undefined && info.kind !== 'portable';
  if (needs.solver === 'sgd' && leavesSteps) return 'has no kernels for steps of stochastic gradient descent';
  return lackOf(capabilities, needs);
}

function nothingWorks(passedOver: readonly PassedOver[], request: DeviceRequest): DeviceError {
  const each = passedOver.map(({ name, reason, remedy }) => {
    return `${name}: ${reason}${remedy === '' ? '' : `; ${remedy}`}`;
  });
  if (request.isGpuRequired === true) {
    return new DeviceError(
      'STOA_DEVICE',
      `--require-gpu: no GPU computes here (${each.join(' | ')}); leave --require-gpu out to train on the processor`,
      { fields: { field: '--require-gpu' } },
    );
  }
  return new DeviceError('STOA_DEVICE', `no device serves here: ${each.join(' | ')}`, {
    fields: { field: '--device' },
  });
}

function checkThreads(threads: number): void {
  if (Number.isInteger(threads) && threads >= 1 && threads <= THREADS_MAX) return;
  throw new UsageError('STOA_USAGE', `--threads ${threads} is not a whole number from 1 to ${THREADS_MAX}`, {
    fields: { field: '--threads' },
  });
}
