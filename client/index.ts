export { StoaError } from '../common/errors.js';
export type { CallSettings, ClientOptions } from './channel.js';
export { RecommendClient } from './recommend-client.js';
export { type SubmitOptions, TrainingClient } from './training-client.js';
