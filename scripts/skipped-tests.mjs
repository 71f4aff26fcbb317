// A reporter of vitest: lists the tests that did not run, whose names say why. With CI=true that is a failure, except
// for tests on data of ../shared where that folder does not exist.
import { existsSync } from 'node:fs';
import path from 'node:path';
import { root } from './setup.mjs';

export default class SkippedTests {
  onTestRunEnd(modules) {
    const skipped = modules.flatMap((module) =>
      [...module.children.allTests('skipped')].map((test) => ({
        name: `${module.relativeModuleId} > ${test.fullName}`,
        note: test.result().note,
      })),
    );
    if (skipped.length === 0) return;
    console.log(`\n Skipped: ${skipped.length}`);
    for (const { name, note } of skipped) console.log(`   ${name}${note === undefined ? '' : ` (${note})`}`);
    const isExcused = ({ name }) => name.includes('../shared') && !existsSync(path.join(root, '../shared'));
    if (process.env.CI === 'true' && !skipped.every(isExcused)) {
      console.log('   CI=true: a skipped test is a failure');
      process.exitCode = 1;
    }
  }
}
