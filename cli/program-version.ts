import { readFileSync } from 'node:fs';
import path from 'node:path';
import { packageRoot } from '../common/package-root.js';

/** Version of Stoa, from its package.json. */
export function programVersion(): string {
  const text = readFileSync(path.join(packageRoot, 'package.json'), 'utf8');
  return (JSON.parse(text) as { version: string }).version;
}
