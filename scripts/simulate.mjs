// `npm run simulate`: builds what is out of date, compiles the simulation beside it and runs it.
import { spawnSync } from 'node:child_process';
import path from 'node:path';
import { build, root, runOrExit } from './setup.mjs';

build({ quiet: true });
const compiler = path.join(root, 'node_modules/typescript/bin/tsc');
runOrExit(process.execPath, [compiler, '-p', 'tsconfig.simulation.json'], 'the simulation');
const { status } = spawnSync(
  process.execPath,
  [path.join(root, 'dist/test/simulation/main.js'), ...process.argv.slice(2)],
  { stdio: 'inherit' },
);
process.exitCode = status ?? 1;
