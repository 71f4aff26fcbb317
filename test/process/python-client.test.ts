// Shows that a client which knows nothing of Stoa but its .proto files gets right answers. The client is Python's
// grpcio; what is right, numpy says from the exported files (test/process/check_serving.py).

import { execFile, spawnSync } from 'node:child_process';
import path from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { formatAddress } from '../../common/addresses.js';
import { packageRoot } from '../../common/package-root.js';
import { exportModel } from '../../coordinator/registry/export-model.js';
import { type ServingFixture, serveModel } from '../support/serving-fixture.js';
import { smallModel } from '../support/small-model.js';

const run = promisify(execFile);

const made = spawnSync(process.execPath, [path.join(packageRoot, 'scripts/python-venv.mjs')], {
  encoding: 'utf8',
  stdio: ['ignore', 'pipe', 'pipe'],
});
const python = made.stdout.trim();
const reason = made.status === 0 ? '' : ` (skipped, no Python client: ${made.stderr.trim()})`;

describe.skipIf(made.status !== 0)(`a client in Python${reason}`, () => {
  const contents = smallModel({ users: 90, items: 70, factors: 11, emptyRows: [3, 50] });
  let fixture: ServingFixture;
  let address: string;

  beforeAll(async () => {
    fixture = await serveModel(contents);
    address = formatAddress(fixture.serving.address);
  });

  afterAll(async () => {
    await fixture.close();
    expect(fixture.logged).toEqual([]);
  });

  it('gets the answers that numpy computes from the exported model, and clear refusals', async () => {
    const exported = path.join(fixture.root, 'export');
    await exportModel(fixture.modelDir, 'npy', exported);
    const script = path.join(packageRoot, 'test/process/check_serving.py');
    const { stdout } = await run(python, [script, address, fixture.modelDir, exported]);
    expect(JSON.parse(stdout)).toEqual({
      methods: ['BatchRecommend', 'Explain', 'ForgetUser', 'Recommend', 'RecordEvents', 'SimilarItems'],
      reasons: { REASON_PERSONALIZED: 88, REASON_POPULAR: 2 },
      similar: 70,
    });
  });

  it('is shown by an example that runs', async () => {
    const script = path.join(packageRoot, 'examples/python-client/recommend.py');
    const { stdout } = await run(python, [script, address, '007', '--limit', '3']);
    const [first, ...items] = stdout.trimEnd().split('\n');
    expect(first).toBe('REASON_PERSONALIZED by model v1');
    expect(items).toHaveLength(3);
    const refused: unknown = await run(python, [script, address, '007', '--limit', '-3']).catch(
      (e: unknown) => e,
    );
    expect(refused).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('limit: limit is -3') as string,
    });
  });
});
