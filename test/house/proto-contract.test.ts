// The names that clients rely on stand in the protos, and every method says what its caller must know.

import { describe, expect, it } from 'vitest';
import { filesUnder, readText } from './source-files.js';

const protos = filesUnder('proto/stoa').filter((name) => name.endsWith('.proto'));

/** Fixed: a client written against these must go on working. */
const FIXED: readonly (readonly [string, readonly string[]])[] = [
  [
    'proto/stoa/recommend/v1/recommend.proto',
    [
      'package stoa.recommend.v1;',
      'service RecommendService {',
      'rpc Recommend(RecommendRequest) returns (RecommendResponse);',
      'rpc BatchRecommend(BatchRecommendRequest) returns (BatchRecommendResponse);',
      'rpc SimilarItems(SimilarItemsRequest) returns (SimilarItemsResponse);',
      'rpc Explain(ExplainRequest) returns (ExplainResponse);',
      'rpc RecordEvents(RecordEventsRequest) returns (RecordEventsResponse);',
      'rpc ForgetUser(ForgetUserRequest) returns (ForgetUserResponse);',
      'string user_id = 1;',
      'int32 limit = 2;',
      'repeated RecommendedItem items = 1;',
      'Reason reason = 2;',
      'string model_version = 3;',
      'bool is_control = 4;',
      'string item_id = 1;',
      'float score = 2;',
    ],
  ],
  ['proto/stoa/training/v1/training.proto', ['package stoa.training.v1;', 'service TrainingService {']],
  ['proto/stoa/parameters/v1/parameters.proto', ['package stoa.parameters.v1;']],
  [
    'proto/stoa/federation/v1/federation.proto',
    ['package stoa.federation.v1;', 'service FederationService {'],
  ],
];

describe('the protos', () => {
  it.each(FIXED)('%s keeps its fixed names and numbers', (name, lines) => {
    const text = readText(name);
    expect(lines.filter((line) => !text.includes(line))).toEqual([]);
  });

  it.each(protos)('%s stands in the folder of its package', (name) => {
    const packageName = /^package ([\w.]+);$/m.exec(readText(name))?.[1];
    expect(`proto/${packageName?.replaceAll('.', '/')}`).toBe(name.slice(0, name.lastIndexOf('/')));
  });

  it.each(protos)('%s comments every service and method', (name) => {
    const lines = readText(name).split('\n');
    const bare = lines.filter(
      (line, index) => /^\s*(?:rpc|service) /.test(line) && !/^\s*\/\//.test(lines[index - 1] ?? ''),
    );
    expect(bare).toEqual([]);
  });
});
