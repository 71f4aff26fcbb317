// A model on disk, served by a real server on free ports, and what calls it.

import { mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { RecommendClient } from '../../client/recommend-client.js';
import { type ModelContents, writeModel } from '../../coordinator/registry/model-folder.js';
import { type Serving, startServing } from '../../coordinator/serving/serve.js';

export const LOOPBACK = { host: '127.0.0.1', port: 0 };

export interface ServingFixture {
  root: string;
  modelDir: string;
  serving: Serving;
  client: RecommendClient;
  /** Errors that the server logged: bugs. */
  logged: unknown[];
  close(): Promise<void>;
}

export async function serveModel(contents: ModelContents): Promise<ServingFixture> {
  const root = await mkdtemp(path.join(os.tmpdir(), 'stoa-'));
  const modelDir = path.join(root, 'model');
  await writeModel(modelDir, contents);
  const logged: unknown[] = [];
  const log = { error: (fields: object) => void logged.push(fields) };
  const serving = await startServing({
    model: modelDir,
    listen: LOOPBACK,
    http: LOOPBACK,
    tls: {},
    log,
    threads: 1,
  });
  const client = new RecommendClient({ address: serving.address });
  return {
    root,
    modelDir,
    serving,
    client,
    logged,
    close: async () => {
      client.close();
      await serving.close();
      await rm(root, { recursive: true });
    },
  };
}
