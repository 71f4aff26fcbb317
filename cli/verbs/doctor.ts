import { DeviceError } from '../../common/errors.js';
import type { DeviceCheck } from '../device-check.js';
import { machineFacts } from '../machine-facts.js';
import { bytes } from '../quantities.js';
import { textTable } from '../text-table.js';
import { toCommand } from '../verb.js';

export const command = toCommand<object>({
  name: 'doctor',
  summary: 'Check this machine',
  description:
    'Solves a block on every device, compares it with float64, measures its speed, and says what is missing.',
  examples: ['stoa doctor'],
  run: async ({ output }) => {
    const { checkDevices } = await import('../device-check.js');
    const checks = await checkDevices();
    const machine = machineFacts();
    output.answer({ ...machine, devices: checks }, () =>
      [
        `stoa ${machine.version}, Node ${machine.node}, ${machine.platform}`,
        `${machine.cores} cores (${machine.cpu}), ${bytes(machine.memory_bytes)} memory`,
        '',
        textTable(checks.map(deviceRow), {
          header: ['device', '', 'error', 'GFLOP/s', 'threads', ''],
          width: output.width,
        }),
        '',
        'Not in this version: native, webgpu and tfjs devices.',
      ].join('\n'),
    );
    const wrong = checks.find((check) => !check.ok);
    if (wrong !== undefined) {
      throw new DeviceError('STOA_DEVICE', `the ${wrong.device} device does not work here: ${wrong.detail}`);
    }
  },
});

function deviceRow(check: DeviceCheck): (string | number)[] {
  const error = check.backward_error === undefined ? '–' : check.backward_error.toExponential(1);
  const speed = check.gflops === undefined ? '–' : check.gflops.toFixed(2);
  return [check.device, check.ok ? 'works' : 'fails', error, speed, check.threads, check.detail];
}
