// Generates the TypeScript types of all messages under proto/ into proto/generated.
import { spawnSync } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..');
const require = createRequire(import.meta.url);
const out = path.join(root, 'proto/generated');

const protos = ['google', 'stoa']
  .flatMap((folder) =>
    readdirSync(path.join(root, 'proto', folder), { recursive: true }).map((name) =>
      path.join(folder, String(name)),
    ),
  )
  .filter((name) => name.endsWith('.proto'))
  .sort();

const generator = path.join(
  path.dirname(require.resolve('@grpc/proto-loader/package.json')),
  'build/bin/proto-loader-gen-types.js',
);

rmSync(out, { recursive: true, force: true });
mkdirSync(out, { recursive: true });
const result = spawnSync(
  process.execPath,
  [
    generator,
    '--longs=Number',
    '--enums=String',
    '--defaults',
    '--oneofs',
    '--grpcLib=@grpc/grpc-js',
    '--importFileExtension=.js',
    '--includeDirs=proto',
    '--outDir=proto/generated',
    ...protos,
  ],
  { cwd: root, stdio: ['ignore', 'ignore', 'inherit'] },
);
if (result.status !== 0) process.exit(result.status ?? 1);

// The entry of a file without services declares what it does not use, which does not compile; nothing needs it.
for (const name of readdirSync(out).filter((entry) => entry.endsWith('.ts'))) {
  const entry = path.join(out, name);
  if (!readFileSync(entry, 'utf8').includes(' service: ')) rmSync(entry);
}
