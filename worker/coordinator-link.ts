// A worker's connections to one coordinator: one for control, one for data.

import { formatAddress, type HostPort } from '../common/addresses.js';
import { GrpcLink, LINK_OPTIONS } from '../common/grpc-link.js';
import { channelCredentials, type TlsOptions } from '../common/grpc-security.js';
import { services } from '../common/grpc-services.js';
import type { ParametersServiceClient } from '../proto/generated/stoa/parameters/v1/ParametersService.js';
import type { WorkerServiceClient } from '../proto/generated/stoa/training/v1/WorkerService.js';

/** Methods of the coordinator, for `CoordinatorLink.call`. */
export const CONTROL = services.training.v1.WorkerService.service;
export const PARAMETERS = services.parameters.v1.ParametersService.service;

export class CoordinatorLink extends GrpcLink {
  readonly tls: TlsOptions;
  /** Sessions and leases: a connection of its own, so that no stream of rows holds up a heartbeat. */
  readonly control: WorkerServiceClient;
  readonly data: WorkerServiceClient;
  readonly parameters: ParametersServiceClient;

  constructor(address: HostPort, tls: TlsOptions) {
    super(address);
    this.tls = tls;
    const target = formatAddress(address);
    const credentials = channelCredentials(address.host, tls);
    const { training, parameters } = services;
    const controlOptions = { ...LINK_OPTIONS, 'grpc.use_local_subchannel_pool': 1 };
    this.control = new training.v1.WorkerService(target, credentials, controlOptions);
    this.data = new training.v1.WorkerService(target, credentials, LINK_OPTIONS);
    this.parameters = new parameters.v1.ParametersService(target, credentials, LINK_OPTIONS);
  }

  close(): void {
    this.control.close();
    this.data.close();
    this.parameters.close();
  }
}
