// Settings from a YAML file and from --set: what wins, and what a wrong file is answered with.

import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { loadRunConfig, settingsHelp } from '../../cli/run-settings.js';
import { parseRunConfig, RUN_CONFIG_KEYS } from '../../coordinator/plan/run-config.js';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(path.join(os.tmpdir(), 'stoa-'));
});
afterAll(() => rm(folder, { recursive: true }));

async function file(text: string): Promise<string> {
  const name = path.join(folder, 'settings.yaml');
  await writeFile(name, text);
  return name;
}

describe('the settings of a run', () => {
  it('are the defaults when nothing is given', async () => {
    expect(await loadRunConfig({})).toEqual(parseRunConfig({}));
  });

  it('come from a file, nested or dotted', async () => {
    const config = await file('ials:\n  factors: 48\n  nu: 0.5\ntrain.epochs: 3\n');
    const settings = await loadRunConfig({ config });
    expect(settings).toMatchObject({ 'ials.factors': 48, 'ials.nu': 0.5, 'train.epochs': 3 });
  });

  it('are won by flags over the file, however the file spells them, and by the last of equal flags', async () => {
    for (const text of [
      'ials:\n  factors: 48\n',
      'ials.factors: 48\n',
      'ials.factors: 7\nials:\n  factors: 48\n',
    ]) {
      const config = await file(text);
      expect(await loadRunConfig({ config, set: ['ials.factors=31', 'ials.factors=32'] })).toMatchObject({
        'ials.factors': 32,
      });
    }
  });

  it('are an empty mapping when the file is empty', async () => {
    expect(await loadRunConfig({ config: await file('# nothing\n') })).toEqual(parseRunConfig({}));
  });

  it('say which line of a file is not YAML', async () => {
    const config = await file('ials.factors: 3\ntrain.epochs: [1\n');
    await expect(loadRunConfig({ config })).rejects.toMatchObject({
      code: 'STOA_USAGE',
      message: expect.stringMatching(/settings\.yaml line [23] is not YAML/),
    });
  });

  it('refuse a list, and a file that is not there', async () => {
    await expect(loadRunConfig({ config: await file('- 1\n') })).rejects.toMatchObject({
      code: 'STOA_USAGE',
    });
    await expect(loadRunConfig({ config: path.join(folder, 'none.yaml') })).rejects.toMatchObject({
      code: 'STOA_NOT_FOUND_FILE',
      message: expect.stringContaining('none.yaml'),
    });
  });

  it('are all listed in the help with their defaults, within 80 columns', () => {
    const help = settingsHelp();
    for (const key of RUN_CONFIG_KEYS) expect(help).toContain(`${key} `);
    for (const line of help.split('\n')) expect(line.length).toBeLessThanOrEqual(80);
  });
});
