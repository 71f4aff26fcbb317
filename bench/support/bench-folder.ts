import path from 'node:path';
import { packageRoot } from '../../common/package-root.js';

/** Where benchmarks keep what is costly to make: datasets, the peers' Python environment. Git does not see it. */
export const benchFolder = path.join(packageRoot, '.stoa-bench');
