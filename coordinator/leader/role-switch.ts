// One gRPC server for the life of a process, whatever its role: calls go to the handlers of the term that this process
// leads, and are refused with the leader's address while it leads none.

import type { ServiceDefinition, sendUnaryData, UntypedServiceImplementation } from '@grpc/grpc-js';
import { FencedError, type StoaError } from '../../common/errors.js';
import { type ErrorLog, toServiceError } from '../grpc-errors.js';
import type { GrpcServiceEntry } from '../grpc-server.js';
import type { Fence } from './fence.js';

/** A service that only the leader answers. */
export interface LedService {
  name: string;
  definition: ServiceDefinition;
}

/** Handlers by the name of their service. */
export type Handlers = Readonly<Record<string, UntypedServiceImplementation>>;

// biome-ignore lint/suspicious/noExplicitAny: a handler of any of gRPC's four shapes.
type AnyHandler = (call: any, callback: sendUnaryData<unknown>) => void;

export class RoleSwitch {
  readonly #log: ErrorLog;
  #handlers: Handlers | undefined;
  #fence: Fence | undefined;
  #leader = '';

  constructor(log: ErrorLog) {
    this.#log = log;
  }

  /** Calls are answered by these from now on, as long as the right to lead lasts. */
  lead(handlers: Handlers, fence?: Fence): void {
    this.#handlers = handlers;
    this.#fence = fence;
  }

  /** Calls are refused from now on. @param leader "HOST:PORT" of who leads; empty where that is not known. */
  follow(leader: string): void {
    this.#handlers = undefined;
    this.#leader = leader;
  }

  entries(services: readonly LedService[]): GrpcServiceEntry[] {
    return services.map(({ name, definition }) => ({
      name,
      definition,
      implementation: Object.fromEntries(
        Object.entries(definition).map(([method, { responseStream }]) => [
          method,
          this.#dispatcher(name, method, responseStream),
        ]),
      ),
    }));
  }

  #dispatcher(service: string, method: string, responseStream: boolean): AnyHandler {
    return (call, callback) => {
      const handler = this.#handlerOf(service, method);
      if (handler !== undefined) {
        handler(call, callback);
        return;
      }
      const refusal = toServiceError(this.#refusal(), this.#log);
      if (responseStream) call.emit('error', refusal);
      else callback(refusal);
    };
  }

  /** Who was frozen may find calls to answer before it finds that its time is over. */
  #handlerOf(service: string, method: string): AnyHandler | undefined {
    try {
      this.#fence?.check();
    } catch {
      return undefined;
    }
    return this.#handlers?.[service]?.[method] as AnyHandler | undefined;
  }

  #refusal(): StoaError {
    const leader = this.#leader;
    const sentence =
      leader === ''
        ? 'no coordinator leads at the moment; try again in a few seconds'
        : `another coordinator leads: ask ${leader}`;
    return new FencedError('STOA_NOT_LEADER', sentence, { fields: { leader } });
  }
}
