// `npm run demo`: installs and builds what is missing, then tells the story of cli/verbs/demo.ts. Needs nothing installed.
import { spawn } from 'node:child_process';
import path from 'node:path';
import { build, root } from './setup.mjs';

build({ quiet: true });

const child = spawn(
  process.execPath,
  [path.join(root, 'dist/cli/main.js'), 'demo', ...process.argv.slice(2)],
  {
    stdio: 'inherit',
  },
);
// A terminal sends Ctrl-C to the child too, which ends everything in good order; here it is only waited for.
process.on('SIGINT', () => {});
process.on('SIGTERM', () => child.kill('SIGTERM'));
child.on('exit', (code, signal) => {
  process.exit(code ?? (signal === null ? 1 : 130));
});
