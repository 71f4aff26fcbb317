// The demo: the commands of a whole life of a model, from made-up data to recommendations, one after another.

import { mkdir, rm } from 'node:fs/promises';
import { RecommendClient, TrainingClient } from '../../client/index.js';
import { assert } from '../../common/errors.js';
import { type LoadedModel, openModel } from '../../coordinator/registry/model-folder.js';
import type { Output } from '../output.js';
import { duration } from '../quantities.js';
import { chooseLearners, showLearners } from './learners.js';
import { quoted, Stage } from './stage.js';

const FOLDER = '.stoa-demo';

/** Where the closing commands say to listen; the demo itself takes a free port. */
const GRPC_ADDRESS = '127.0.0.1:7070';
const REST_ADDRESS = '127.0.0.1:7080';

/** Enough learners and courses for taste to show, few enough for a minute on two cores. */
const DATA = ['--users', '8000', '--items', '180', '--interactions', '90000', '--seed', '1'];

/** Few topics, many learners for each course: a small K and a strong penalty rank best. */
const SETTINGS = [
  'ials.factors=16',
  'ials.alpha0=0.3',
  'ials.regularization=0.03',
  'train.epochs=12',
  'train.loss=true',
];

/** What `stoa demo --json` prints. */
export interface DemoOutcome {
  folder: string;
  synthetic: true;
  /** Process ids of the coordinator and the workers, which are gone by now. */
  pids: number[];
  metrics: unknown;
  learners: object[];
  seconds_total: number;
}

export async function tellStory(output: Output): Promise<DemoOutcome> {
  const startMs = performance.now();
  await rm(FOLDER, { recursive: true, force: true });
  await mkdir(FOLDER, { recursive: true });
  const stage = new Stage(FOLDER, output);
  try {
    stage.say(output.bold('Stoa demo: a course recommender, from data to recommendations.'));
    stage.say('All learners and enrolments are synthetic: made up by a generator, not observed.');
    stage.say(`All files are made in ${FOLDER}/, afresh each time.`);
    await makeData(stage);
    const coordinator = await startCluster(stage);
    await train(stage, coordinator);
    await promote(stage, coordinator);
    const model = await openModel(stage.file('run'));
    const learners = await recommend(stage, coordinator, model, output);
    const pids = stage.pids();
    await stage.close();
    const seconds = (performance.now() - startMs) / 1000;
    sayHowToGoOn(stage, chooseLearners(model)[0]!, model, seconds);
    const { metrics } = model.manifest;
    return { folder: FOLDER, synthetic: true, pids, metrics, learners, seconds_total: seconds };
  } finally {
    await stage.close();
  }
}

async function makeData(stage: Stage): Promise<void> {
  const enrolments = stage.file('enrolments.csv');
  const courses = stage.file('courses.csv');
  const dataset = stage.file('dataset');
  stage.title('Data: synthetic learners take courses of a small catalogue');
  await stage.run(['data', 'synthesize', ...DATA, '--out', enrolments, '--items-out', courses], 'quietly');
  await stage.run(
    ['data', 'import', enrolments, '--items', courses, '--synthetic', '--out', dataset],
    'quietly',
  );
  await stage.run(['data', 'describe', dataset], 'quietly');
  stage.title('Split: the last course of each learner is held out');
  await stage.run(
    ['data', 'split', dataset, '--strategy', 'leave-last-out', '--out', stage.file('split')],
    'quietly',
  );
}

/** Starts the processes and answers the coordinator's address. */
async function startCluster(stage: Stage): Promise<string> {
  stage.title('A coordinator and two workers: three processes that talk gRPC');
  const listen = ['--listen', '127.0.0.1:0', '--state', stage.file('state')];
  const { address } = await stage.startAndWait('coordinator', ['coordinator', ...listen]);
  const coordinator = String(address);
  for (const name of ['worker-1', 'worker-2']) {
    const where = ['--coordinator', coordinator, '--cache', stage.file('cache')];
    stage.start(name, ['worker', ...where, '--name', name, '--threads', '1']);
  }
  return coordinator;
}

async function train(stage: Stage, coordinator: string): Promise<void> {
  stage.title('Train on them, and evaluate on the held-out courses');
  const settings = SETTINGS.flatMap((setting) => ['--set', setting]);
  const where = ['--coordinator', coordinator, '--out', stage.file('run')];
  await stage.run(['train', '--data', stage.file('split'), ...where, ...settings], 'with progress');
}

async function promote(stage: Stage, coordinator: string): Promise<void> {
  stage.title('Promote the model: the coordinator serves it from now on');
  const client = new TrainingClient({ address: coordinator });
  const [newest] = await client.listModels().finally(() => client.close());
  assert(newest !== undefined, 'a run that has ended leaves a model');
  await stage.run(['model', 'promote', newest.version, '--coordinator', coordinator], 'quietly');
}

async function recommend(
  stage: Stage,
  coordinator: string,
  model: LoadedModel,
  output: Output,
): Promise<object[]> {
  stage.title('Ask it, over gRPC: what should these synthetic learners take next?');
  const client = new RecommendClient({ address: coordinator });
  try {
    return await showLearners(chooseLearners(model), model, client, output);
  } finally {
    client.close();
  }
}

function sayHowToGoOn(stage: Stage, learner: string, model: LoadedModel, seconds: number): void {
  const request = JSON.stringify({ user_id: learner, limit: 5 });
  const item = model.itemsTable.ids[0]!;
  stage.title(`Done in ${duration(seconds)}, nothing is left running. To go on:`);
  stage.say(
    [
      '  look at the report, in a browser',
      `    ${stage.file('run/report.html')}`,
      '  serve the model, and ask it from another terminal',
      `    npx stoa serve --model ${stage.file('run')} \\`,
      `      --listen ${GRPC_ADDRESS} --http ${REST_ADDRESS}`,
      `    npx stoa recommend --server ${GRPC_ADDRESS} --user ${quoted(learner)}`,
      `    grpcurl -plaintext -d ${quoted(request)} ${GRPC_ADDRESS} \\`,
      '      stoa.recommend.v1.RecommendService/Recommend',
      `    http://${REST_ADDRESS}/docs`,
      '  or without a server',
      `    npx stoa similar --model ${stage.file('run')} --item ${quoted(item)}`,
      `    npx stoa export ${stage.file('run')} --format npy --out ${stage.file('npy')}`,
    ].join('\n'),
  );
}
