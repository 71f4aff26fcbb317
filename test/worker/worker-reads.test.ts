// What a worker reads over the wire: rows that arrive damaged are asked for again, rows it has are not, shards are
// fetched and checked. Over real connections to a real coordinator, or to a server that damages what it sends.

import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { services } from '../../common/grpc-services.js';
import { encodeGram, encodeRows } from '../../common/row-chunks.js';
import { type GrpcServer, startGrpcServer } from '../../coordinator/grpc-server.js';
import { openDataset } from '../../datasets/dataset.js';
import type { ComputeDevice } from '../../models/device.js';
import { packedGramOf, unpackGram } from '../../models/gram.js';
import type { ParametersServiceHandlers } from '../../proto/generated/stoa/parameters/v1/ParametersService.js';
import { CONTROL, CoordinatorLink } from '../../worker/coordinator-link.js';
import { openSource } from '../../worker/dataset-source.js';
import { openDevice } from '../../worker/devices/device-registry.js';
import { FactorMirror } from '../../worker/factor-mirror.js';
import { RowHomes } from '../../worker/row-homes.js';
import { randomInteractions, writeInteractions } from '../support/random-dataset.js';
import { RawWorker } from '../support/raw-worker.js';
import { temporaryFolder } from '../support/small-data.js';
import { TrainingCluster } from '../support/training-cluster.js';

const { signal } = new AbortController();

describe('rows', () => {
  const FACTORS = 4;
  const ROWS = 30;
  const table = Float32Array.from({ length: ROWS * FACTORS }, (_, n) => Math.sin(n));
  let server: GrpcServer;
  let link: CoordinatorLink;
  let device: ComputeDevice;
  /** What was asked for. */
  let pulls: { rowStart: number; rowEnd: number }[][];
  /** Answers that are damaged before the first right one. */
  let damages: number;
  let gramsAsked: number;

  beforeEach(async () => {
    pulls = [];
    damages = 0;
    gramsAsked = 0;
    const implementation: ParametersServiceHandlers = {
      PullRows: (call) => {
        pulls.push(call.request.ranges);
        for (const { rowStart, rowEnd } of call.request.ranges) {
          const message = encodeRows(table.slice(rowStart * FACTORS, rowEnd * FACTORS), rowStart);
          if (damages > 0) message.rows[5]! ^= 1;
          call.write({ chunk: message });
        }
        damages--;
        call.end();
      },
      GetGram: (_call, callback) => {
        gramsAsked++;
        callback(null, encodeGram(packedGramOf(table, ROWS, FACTORS)));
      },
      PullStep: () => {},
      PushStep: () => {},
      PushBlock: () => {},
    };
    server = await startGrpcServer({
      listen: { host: '127.0.0.1', port: 0 },
      tls: {},
      services: [
        {
          name: 'stoa.parameters.v1.ParametersService',
          definition: services.parameters.v1.ParametersService.service,
          implementation: { ...implementation },
        },
      ],
    });
    link = new CoordinatorLink(server.address, {});
    device = await openDevice('portable', { threads: 1 });
  });

  afterEach(async () => {
    link.close();
    await device.dispose();
    await server.close(500);
  });

  const mirrorOf = () =>
    FactorMirror.create({
      runId: 'run',
      sessionId: 'session',
      side: 'users',
      rows: ROWS,
      factors: FACTORS,
      encoding: 'ROWS_ENCODING_F32',
      device,
      link,
      homes: new RowHomes(link, { users: ROWS, items: 1 }, [], {}),
    });

  it('that this worker computed are not asked for again', async () => {
    const mirror = await mirrorOf();
    await mirror.keep(10, table.slice(10 * FACTORS, 18 * FACTORS), 3);
    const fixed = await mirror.fixedAt(3, signal);
    expect(pulls).toEqual([
      [
        { rowStart: 0, rowEnd: 10 },
        { rowStart: 18, rowEnd: 30 },
      ],
    ]);
    expect(await device.read(fixed.table, 0, ROWS)).toEqual(table);
    expect(fixed.gram).toEqual(unpackGram(packedGramOf(table, ROWS, FACTORS), FACTORS));
    await mirror.fixedAt(3, signal);
    await mirror.rowsAt({ rowStart: 2, rowEnd: 9 }, 3, signal);
    expect(pulls).toHaveLength(1);
    await mirror.rowsAt({ rowStart: 2, rowEnd: 9 }, 4, signal);
    expect(pulls[1]).toEqual([{ rowStart: 2, rowEnd: 9 }]);
  });

  it('come with a Gram that is asked for only where none of that table and clock came sound with the lease', async () => {
    const gram = packedGramOf(table, ROWS, FACTORS);
    const told = { runId: 'run', side: 'SIDE_USERS', clock: 3, gram: encodeGram(gram) } as const;
    const mirror = await mirrorOf();
    expect((await mirror.fixedAt(3, signal, told)).gram).toEqual(unpackGram(gram, FACTORS));
    expect(gramsAsked).toBe(0);
    const damaged = { ...encodeGram(gram), crc32c: 1 };
    const others = [
      { ...told, runId: 'other' },
      { ...told, side: 'SIDE_ITEMS' } as const,
      { ...told, clock: 2 },
      { ...told, gram: damaged },
      { ...told, gram: null },
    ];
    for (const other of others) {
      const asked = gramsAsked;
      const fresh = await mirrorOf();
      expect((await fresh.fixedAt(3, signal, other)).gram).toEqual(unpackGram(gram, FACTORS));
      expect(gramsAsked).toBe(asked + 1);
    }
  });

  it('that arrive damaged are never used, and asked for again', async () => {
    damages = 2;
    const mirror = await mirrorOf();
    expect(await mirror.rowsAt({ rowStart: 4, rowEnd: 11 }, 1, signal)).toEqual(
      table.slice(4 * FACTORS, 11 * FACTORS),
    );
    expect(pulls).toHaveLength(3);
  });

  it('that always arrive damaged are given up with a checksum error', async () => {
    damages = 100;
    const mirror = await mirrorOf();
    await expect(mirror.fixedAt(1, signal)).rejects.toMatchObject({ code: 'STOA_CHECKSUM' });
  });

  it('are not waited for when the work is aborted', async () => {
    const mirror = await mirrorOf();
    const abort = new AbortController();
    abort.abort(new Error('a later phase has begun'));
    await expect(mirror.fixedAt(1, abort.signal)).rejects.toThrow('a later phase');
    expect(pulls).toEqual([]);
    await mirror.fixedAt(1, signal);
  });
});

describe('shards', () => {
  let folder: string;
  let remove: () => Promise<void>;
  let cluster: TrainingCluster;
  let link: CoordinatorLink;
  let raw: RawWorker;
  let runId: string;

  beforeEach(async () => {
    ({ folder, remove } = await temporaryFolder());
    cluster = await TrainingCluster.start(folder);
    const dataset = path.join(folder, 'data');
    await writeInteractions(
      dataset,
      randomInteractions({ users: 50, items: 30, perUser: 5, hasValues: true }),
    );
    const settings = { 'ials.factors': 4, 'train.epochs': 1 };
    runId = await cluster.submit({ dataset, runDir: path.join(folder, 'run'), settings });
    link = new CoordinatorLink(cluster.coordinator.address, {});
    raw = new RawWorker(cluster.coordinator.address);
    await raw.register();
    await raw.lease(1);
  });

  afterEach(async () => {
    link.close();
    raw.close();
    await cluster.close();
    await remove();
  });

  const specOf = () => link.call(link.data, CONTROL.GetRunSpec, { runId }, { signal });

  it('are fetched where the folder cannot be read, kept, and fetched again when what was kept is damaged', async () => {
    const cache = path.join(folder, 'cache');
    const elsewhere = { ...(await specOf()), datasetPath: '/nowhere' };
    const expected = await (await openDataset(path.join(folder, 'data'))).loadShard('items', 3);
    const source = await openSource(elsewhere, link, cache);
    expect((await source.loadShard('items', 3, signal)).csr).toEqual(expected.csr);
    const kept = path.join(cache, 'datasets', elsewhere.datasetFingerprint, 'by-item/0003.arrow');
    const bytes = await readFile(kept);
    bytes[100]! ^= 1;
    await writeFile(kept, bytes);
    expect((await source.loadShard('items', 3, signal)).csr).toEqual(expected.csr);
    bytes[100]! ^= 1;
    expect(await readFile(kept)).toEqual(bytes);
  });

  it('are read from the folder itself on the same machine', async () => {
    const source = await openSource(await specOf(), link, '/nowhere');
    expect((await source.loadShard('users', 0, signal)).rowStart).toBe(0);
  });

  it('of a manifest that is not the run’s are refused', async () => {
    const spec = await specOf();
    const manifest = Buffer.from(spec.manifest);
    manifest[50]! ^= 1;
    await expect(
      openSource({ ...spec, datasetPath: '/nowhere', manifest }, link, folder),
    ).rejects.toMatchObject({
      code: 'STOA_CHECKSUM',
    });
  });
});
