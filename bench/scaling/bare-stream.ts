// A stream of bytes by grpc-js alone, each chunk checked and copied into place as factors are, without messages: what
// there is to reach. node bare-stream.js serves, and prints its port.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import {
  credentials,
  makeGenericClientConstructor,
  Server,
  ServerCredentials,
  type ServerWritableStream,
} from '@grpc/grpc-js';
import { crc32c } from '../../common/checksums.js';
import { LINK_OPTIONS } from '../../common/grpc-link.js';
import { builtEntry } from '../../common/package-root.js';
import { CHUNK_BYTES_MAX } from '../../common/row-chunks.js';
import { median } from '../support/median.js';

const TABLE_BYTES = 138_000 * 64 * 4;

const asIs = (bytes: Buffer) => bytes;
const definition = {
  Pull: {
    path: '/bare/Pull',
    requestStream: false,
    responseStream: true,
    requestSerialize: asIs,
    requestDeserialize: asIs,
    responseSerialize: asIs,
    responseDeserialize: asIs,
  },
};

/** 10^6 bytes a second, median of `repeats` tables. */
export async function bareStreamSpeed(repeats: number): Promise<number> {
  const entry = fileURLToPath(builtEntry('bench/scaling/bare-stream.js'));
  const server = spawn(process.execPath, [entry], { stdio: ['pipe', 'pipe', 'inherit'] });
  const [port] = (await once(server.stdout, 'data')) as [Buffer];
  const Client = makeGenericClientConstructor(definition, 'Bare');
  const client = new Client(`127.0.0.1:${Number(port)}`, credentials.createInsecure(), LINK_OPTIONS);
  const table = Buffer.alloc(TABLE_BYTES);
  try {
    const times: number[] = [];
    for (let n = 0; n <= repeats; n++) {
      const startMs = performance.now();
      let at = 0;
      for await (const chunk of client['Pull']!(Buffer.alloc(0)) as AsyncIterable<Buffer>) {
        crc32c(chunk);
        table.set(chunk, at);
        at += chunk.length;
      }
      times.push(performance.now() - startMs);
    }
    return TABLE_BYTES / median(times.slice(1)) / 1000;
  } finally {
    client.close();
    server.stdin.end();
  }
}

async function serve(): Promise<void> {
  const table = Buffer.alloc(TABLE_BYTES, 1);
  const server = new Server(LINK_OPTIONS);
  server.addService(definition, {
    async Pull(call: ServerWritableStream<Buffer, Buffer>) {
      for (let at = 0; at < table.length; at += CHUNK_BYTES_MAX) {
        const chunk = table.subarray(at, at + CHUNK_BYTES_MAX);
        crc32c(chunk);
        if (!call.write(chunk)) await once(call, 'drain');
      }
      call.end();
    },
  });
  server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, port) => {
    if (error !== null) throw error;
    process.stdout.write(`${port}\n`);
  });
  process.stdin.resume().once('end', () => process.exit(0));
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await serve();
