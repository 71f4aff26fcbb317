// A parameters service over a table, without a run: what a stream of factors can reach. node stream-server.js REQUEST.
// Prints its port, serves until its standard input ends.

import { pino } from 'pino';
import { services } from '../../common/grpc-services.js';
import { startGrpcServer } from '../../coordinator/grpc-server.js';
import { ParameterStore } from '../../coordinator/parameters/parameter-store.js';
import { type ParameterHost, parametersService } from '../../coordinator/parameters/parameters-service.js';
import { initFactors } from '../../models/ials/init-factors.js';

export interface StreamRequest {
  rows: number;
  factors: number;
}

const { rows, factors } = JSON.parse(process.argv[2]!) as StreamRequest;
const store = new ParameterStore({ users: rows, items: 1, factors });
const seed = { seed: 1, side: 'users', rowStart: 0, rowEnd: rows, factors, stdDev: 0.1 } as const;
initFactors(store.tables.current('users'), seed);
const host: ParameterHost = {
  gram: () => new Float64Array(0),
  hasReceipt: () => false,
  store: () => store,
  judge: () => 'accepted',
  isAudited: () => false,
  shapeOf: () => ({ rowStart: 0, rowEnd: rows, factors }),
  deliver: () => 'accepted',
  exchange: () => undefined,
  moved: () => {},
  refuse: () => {},
};
const definition = services.parameters.v1.ParametersService.service;
const implementation = { ...parametersService(host, pino({ level: 'fatal' })) };
const server = await startGrpcServer({
  listen: { host: '127.0.0.1', port: 0 },
  tls: {},
  services: [{ name: 'stoa.parameters.v1.ParametersService', definition, implementation }],
});
process.stdout.write(`${server.address.port}\n`);
process.stdin.resume().once('end', () => {
  server.close(100).then(() => process.exit(0));
});
