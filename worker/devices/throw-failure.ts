import { DeviceError, NumericError, ShapeError, type StoaError } from '../../common/errors.js';

/** What another thread says of an error: classes do not survive the way. */
export interface ThreadFailure {
  readonly name: string;
  readonly code: StoaError['code'];
  readonly message: string;
  readonly fields: StoaError['fields'];
}

/** @throws {NumericError | ShapeError | DeviceError} the error, as it was there. */
export function throwFailure({ name, code, message, fields }: ThreadFailure): never {
  if (name === 'NumericError') throw new NumericError(code, message, { fields });
  if (name === 'ShapeError') throw new ShapeError(code, message, { fields });
  throw new DeviceError(code, message, { fields });
}
