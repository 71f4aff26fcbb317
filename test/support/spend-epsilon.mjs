// Spends from a privacy ledger round after round, and says so after each: `node spend-epsilon.mjs FOLDER`. To be killed.
// A line "sent N" on stdout is what a participant's message would be; it is written only after the ledger has answered.
import { writeSync } from 'node:fs';
import { EpsilonLedger } from '../../dist/federation/privacy/ledger/epsilon-ledger.js';

const ledger = await EpsilonLedger.open(process.argv[2], { now: () => new Date() });
const run = `run of ${process.pid}`;
writeSync(1, 'ready\n');
for (let round = 1; ; round++) {
  const releases = [
    { name: `round ${round}, gram`, noiseMultiplier: 500 },
    { name: `round ${round}, statistics`, noiseMultiplier: 400 },
  ];
  const permit = await ledger.spend({ group: 'learners', run, round: `round ${round}`, releases });
  for (const { name } of releases) permit.take(name);
  writeSync(1, `sent ${round}\n`);
}
