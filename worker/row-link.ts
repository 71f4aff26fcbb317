// A worker's connection to who has rows: the coordinator, or a parameter process.

import { formatAddress, type HostPort } from '../common/addresses.js';
import { GrpcLink, LINK_OPTIONS } from '../common/grpc-link.js';
import { channelCredentials, type TlsOptions } from '../common/grpc-security.js';
import { services } from '../common/grpc-services.js';
import type { ParametersServiceClient } from '../proto/generated/stoa/parameters/v1/ParametersService.js';

export class RowLink extends GrpcLink {
  readonly parameters: ParametersServiceClient;

  constructor(address: HostPort, tls: TlsOptions) {
    super(address);
    const credentials = channelCredentials(address.host, tls);
    this.parameters = new services.parameters.v1.ParametersService(
      formatAddress(address),
      credentials,
      LINK_OPTIONS,
    );
  }

  close(): void {
    this.parameters.close();
  }
}
