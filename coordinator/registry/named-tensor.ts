import { CorruptError } from '../../common/errors.js';
import type { Tensor } from './safetensors.js';

/** The tensor of that name, type and shape. @throws {CorruptError} `STOA_TORN`: there is none. */
export function namedTensor<T extends Float32Array | Int32Array>(
  tensors: Map<string, Tensor>,
  name: string,
  type: new () => T,
  shape: number[],
  file: string,
): T {
  const found = tensors.get(name);
  if (found === undefined) throw disagrees(file, `it has no tensor ${name}`);
  if (!(found.data instanceof type) || found.shape.join() !== shape.join()) {
    throw disagrees(file, `${name} is [${found.shape}] where model.json says [${shape}]`);
  }
  return found.data;
}

/** A file of a model that contradicts its manifest. */
export function disagrees(file: string, what: string): CorruptError {
  return new CorruptError(
    'STOA_TORN',
    `${file} disagrees with model.json: ${what}; restore the folder or train again`,
    { fields: { file } },
  );
}
