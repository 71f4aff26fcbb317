// Entry of the build's process: compiles the addon where a checkout keeps it. A machine without a compiler is told what
// that costs, and the build goes on.

import { messageOf } from '../../common/errors.js';
import { repositoryFolder } from './addon-folder.js';
import { buildAddon, findCompiler, missingCompiler } from './build-addon.js';

const say = (text: string): void => console.error(`stoa: ${text}`);
const COST = 'training runs on the portable device, about 20 times slower';

const compiler = findCompiler();
if (compiler === undefined) {
  const { reason, remedy } = missingCompiler();
  say(`no native kernels: ${reason}; ${remedy}; until then ${COST}`);
} else {
  try {
    const { isNew } = await buildAddon(repositoryFolder, compiler, say);
    process.exitCode = isNew ? 0 : 3;
  } catch (error) {
    say(`${messageOf(error)}; ${COST}`);
  }
}
