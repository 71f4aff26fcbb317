// Builds Stoa: installs packages when the lock changed, generates message types, compiles. Needs nothing installed.
// `--quiet` prints only what it does, not that there was nothing to do.
import { build } from './setup.mjs';

build({ quiet: process.argv.includes('--quiet') });
