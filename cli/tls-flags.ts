import type { Command } from 'commander';
import type { TlsOptions } from '../common/grpc-security.js';

export type TlsFlags = TlsOptions;

export function addServerTlsFlags(command: Command): void {
  command
    .option('--tls-cert <file>', 'certificate chain (PEM); with --tls-key')
    .option('--tls-key <file>', 'private key (PEM)')
    .option('--tls-ca <file>', 'accept only clients with a certificate of this authority (PEM)')
    .option('--insecure', 'allow plain text beyond this machine');
}

export function addClientTlsFlags(command: Command): void {
  command
    .option('--tls-ca <file>', 'certificates to check the server against (PEM)')
    .option('--tls-cert <file>', 'own certificate (PEM), where the server asks for one')
    .option('--tls-key <file>', 'its private key (PEM)')
    .option('--insecure', 'allow plain text beyond this machine');
}

export function tlsOf({ tlsCert, tlsKey, tlsCa, insecure }: TlsFlags): TlsOptions {
  return { tlsCert, tlsKey, tlsCa, insecure };
}
