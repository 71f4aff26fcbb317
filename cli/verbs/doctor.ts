import { DeviceError } from '../../common/errors.js';
import type { InstructionSet } from '../../models/device.js';
import type { DeviceCheck } from '../device-check.js';
import { isaOption } from '../device-flags.js';
import { machineFacts } from '../machine-facts.js';
import { bytes } from '../quantities.js';
import { textTable } from '../text-table.js';
import { toCommand } from '../verb.js';

interface Options {
  isa?: InstructionSet;
}

export const command = toCommand<Options>({
  name: 'doctor',
  summary: 'Check this machine',
  description:
    'Solves a block with every solver of every device, compares it with float64, measures the speed, and says what is ' +
    'missing and what to do about it. Fails when no device works, or when one computes wrong numbers.',
  examples: ['stoa doctor'],
  define: (command) => {
    command.addOption(isaOption());
  },
  run: async ({ options, output }) => {
    const { checkDevices } = await import('../device-check.js');
    const checks = await checkDevices(options.isa);
    const chosen = await choiceOf(options.isa);
    const machine = machineFacts();
    output.answer({ ...machine, devices: checks, auto: chosen }, () =>
      [
        `stoa ${machine.version}, Node ${machine.node}, ${machine.platform}`,
        `${machine.cores} cores (${machine.cpu}), ${bytes(machine.memory_bytes)} memory`,
        '',
        textTable(checks.map(deviceRow), {
          header: ['device', '', 'GFLOP/s', 'error', 'threads', 'largest table', ''],
          width: output.width,
        }),
        '',
        ...checks.flatMap(detailLines),
        chosen === null ? 'auto: no device' : `auto: ${chosen.device}, ${chosen.reason}`,
      ].join('\n'),
    );
    const wrong = checks.find(({ ok, errors }) => !ok && errors !== undefined);
    if (wrong !== undefined) {
      throw new DeviceError('STOA_DEVICE', `the ${wrong.device} device does not work right: ${wrong.detail}`);
    }
    if (!checks.some(({ ok }) => ok)) {
      const [first] = checks;
      throw new DeviceError('STOA_DEVICE', `no device works here; ${first?.device}: ${first?.detail}`);
    }
  },
});

/** What `--device auto` comes to here, and why; null when it comes to nothing. */
async function choiceOf(isa: InstructionSet | undefined): Promise<{ device: string; reason: string } | null> {
  const { availableParallelism } = await import('node:os');
  const { chooseDevice } = await import('../../worker/devices/device-registry.js');
  try {
    const { name, device, reason } = await chooseDevice('auto', { threads: availableParallelism(), isa });
    await device.dispose();
    return { device: name, reason };
  } catch {
    return null;
  }
}

function deviceRow(check: DeviceCheck): (string | number)[] {
  const { device, ok, backward_error: error, gflops, threads, table_bytes_max: tableBytes } = check;
  return [
    device,
    ok ? 'works' : check.errors === undefined ? 'missing' : 'WRONG',
    gflops === undefined ? '–' : gflops.toPrecision(3),
    error === undefined ? '–' : error.toExponential(1),
    threads ?? '–',
    tableBytes === undefined ? '–' : bytes(tableBytes),
    ok ? check.detail : '',
  ];
}

/** What a row of the table has no room for. */
function detailLines(check: DeviceCheck): string[] {
  const {
    device,
    ok,
    errors = {},
    detail,
    remedy,
    provider,
    adapter,
    driver,
    isa,
    precision,
    software,
  } = check;
  if (!ok) return [`${device}: ${detail}`, ...(remedy === undefined ? [] : [`  ${remedy}`]), ''];
  const facts = { provider, adapter, driver, isa, precision };
  const known = Object.entries(facts).filter(([, value]) => value !== null && value !== undefined);
  const solvers = Object.entries(errors).map(([name, error]) => `${name} ${error.toExponential(1)}`);
  return [
    `${device}: ${known.map(([name, value]) => `${name} ${value}`).join(', ')}${software ? '; emulated, no real GPU' : ''}`,
    `  errors against float64: ${solvers.join(', ')}`,
    '',
  ];
}
