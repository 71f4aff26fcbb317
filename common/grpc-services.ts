// Loads the .proto files at run time, with the options that the generated types were made with.

import path from 'node:path';
import { type GrpcObject, loadPackageDefinition } from '@grpc/grpc-js';
import { loadSync, type PackageDefinition } from '@grpc/proto-loader';
import type { ProtoGrpcType as EnrolmentProto } from '../proto/generated/enrolment.js';
import type { ProtoGrpcType as FederationProto } from '../proto/generated/federation.js';
import type { ProtoGrpcType as HoldersProto } from '../proto/generated/holders.js';
import type { ProtoGrpcType as RecommendProto } from '../proto/generated/recommend.js';
import type { ProtoGrpcType as TrainingProto } from '../proto/generated/training.js';
import type { ProtoGrpcType as WorkerProto } from '../proto/generated/worker.js';
import { packageRoot } from './package-root.js';

type ServiceNamespace = {
  federation: {
    v1: EnrolmentProto['stoa']['federation']['v1'] & FederationProto['stoa']['federation']['v1'];
  };
  recommend: RecommendProto['stoa']['recommend'];
  training: {
    v1: TrainingProto['stoa']['training']['v1'] & WorkerProto['stoa']['training']['v1'];
  };
  parameters: {
    v1: HoldersProto['stoa']['parameters']['v1'] & WorkerProto['stoa']['parameters']['v1'];
  };
};

const FILES = [
  'stoa/federation/v1/enrolment.proto',
  'stoa/recommend/v1/recommend.proto',
  'stoa/training/v1/training.proto',
  'stoa/training/v1/worker.proto',
  'stoa/parameters/v1/parameters.proto',
  'stoa/parameters/v1/holders.proto',
  'stoa/federation/v1/federation.proto',
];

/** All services of Stoa with the field names of the .proto files: what reflection tells. */
export function reflectionDefinition(): PackageDefinition {
  return loadDefinition({ keepCase: true });
}

/** Constructors of clients, and `.service` definitions for servers. */
export const services: ServiceNamespace = (loadPackageDefinition(loadDefinition({})) as GrpcObject)[
  'stoa'
] as unknown as ServiceNamespace;

function loadDefinition(options: { keepCase?: boolean }): PackageDefinition {
  return loadSync(FILES, {
    ...options,
    includeDirs: [path.join(packageRoot, 'proto')],
    longs: Number,
    enums: String,
    defaults: true,
    oneofs: true,
  });
}
