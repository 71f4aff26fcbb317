// Sends a dataset folder file by file, manifest first.

import { createReadStream } from 'node:fs';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import type { ClientWritableStream } from '@grpc/grpc-js';
import { crc32c, sha256 } from '../common/checksums.js';
import { CorruptError, messageOf, NotFoundError, SystemError } from '../common/errors.js';
import { fromServiceError } from '../common/grpc-client-errors.js';
import type { TrainingServiceClient } from '../proto/generated/stoa/training/v1/TrainingService.js';
import type { UploadDatasetRequest } from '../proto/generated/stoa/training/v1/UploadDatasetRequest.js';

/** Bytes of a chunk: streams are fastest from 256 KB on. */
const CHUNK_BYTES = 256 << 10;
/** How long the server may take nothing before the upload is given up. */
const STALL_MS = 60_000;

const MANIFEST_FILE = 'manifest.json';

export interface DatasetFolder {
  dir: string;
  /** SHA-256 of manifest.json. */
  fingerprint: string;
  /** manifest.json and the files it names. */
  files: string[];
  bytes: number;
}

/** @throws {NotFoundError} `STOA_NOT_FOUND_DATASET`; {CorruptError} `STOA_TORN`: the manifest names no files. */
export async function readDatasetFolder(dir: string): Promise<DatasetFolder> {
  const file = path.join(dir, MANIFEST_FILE);
  const bytes = await readFile(file).catch((error: unknown) => {
    throw new NotFoundError(
      'STOA_NOT_FOUND_DATASET',
      `${dir} is no dataset: ${messageOf(error)}; give a folder that "stoa data import" made`,
      { fields: { file: dir }, cause: error },
    );
  });
  let entries: Record<string, { bytes: number }>;
  try {
    entries = (JSON.parse(bytes.toString()) as { files: Record<string, { bytes: number }> }).files;
    const size = Object.values(entries).reduce((sum, entry) => sum + entry.bytes, bytes.length);
    const files = [MANIFEST_FILE, ...Object.keys(entries)];
    return { dir, fingerprint: sha256(bytes), files, bytes: size };
  } catch (error) {
    throw new CorruptError('STOA_TORN', `${file} is not the manifest of a dataset; import the data again`, {
      fields: { file },
      cause: error,
    });
  }
}

/**
 * Sends all files and resolves to the fingerprint that the server computed. Never more than a chunk is buffered
 * beyond the flow-control window: a slow server slows the reading.
 *
 * @throws {StoaError} what the server said; {SystemError} `STOA_UNREACHABLE`: it took nothing for a minute.
 */
export async function sendDataset(
  client: TrainingServiceClient,
  folder: DatasetFolder,
  address: string,
  onProgress?: (sentBytes: number, totalBytes: number) => void,
): Promise<string> {
  const answered = new AbortController();
  let call: ClientWritableStream<UploadDatasetRequest> | undefined;
  const answer = new Promise<string>((resolve, reject) => {
    call = client.UploadDataset((error, response) => {
      if (error === null) resolve(response!.fingerprint);
      else reject(fromServiceError(error, address));
      answered.abort();
    });
  });
  // It may be refused while files are still being read; it is awaited below.
  answer.catch(() => undefined);
  try {
    await sendFiles(call!, folder, answered.signal, onProgress);
  } catch (error) {
    call!.cancel();
    throw error;
  }
  return answer;
}

/** Ends early when the server has answered: it refused the data, or has them already. */
async function sendFiles(
  call: ClientWritableStream<UploadDatasetRequest>,
  folder: DatasetFolder,
  answered: AbortSignal,
  onProgress?: (sentBytes: number, totalBytes: number) => void,
): Promise<void> {
  let sent = 0;
  for (const name of folder.files) {
    await write(call, { file: name }, answered);
    const pieces = createReadStream(path.join(folder.dir, name), { highWaterMark: CHUNK_BYTES });
    for await (const piece of pieces) {
      if (answered.aborted) return;
      const data = piece as Buffer;
      await write(call, { chunk: { data, crc32c: crc32c(data) } }, answered);
      sent += data.length;
      onProgress?.(sent, folder.bytes);
    }
  }
  call.end();
}

/** Resolves when there is room for the next message, or nothing more to be said. */
function write(
  call: ClientWritableStream<UploadDatasetRequest>,
  message: UploadDatasetRequest,
  answered: AbortSignal,
): Promise<void> {
  if (answered.aborted || call.write(message)) return Promise.resolve();
  return new Promise((resolve, reject) => {
    const onRoom = () => {
      clearTimeout(timer);
      call.off('drain', onRoom);
      answered.removeEventListener('abort', onRoom);
      resolve();
    };
    const timer = setTimeout(() => {
      const text = `the coordinator took no data for ${STALL_MS / 1000} s; check it and upload again`;
      reject(new SystemError('STOA_UNREACHABLE', text));
    }, STALL_MS);
    call.once('drain', onRoom);
    answered.addEventListener('abort', onRoom, { once: true });
  });
}
