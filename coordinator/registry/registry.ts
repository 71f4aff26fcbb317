// The models of a coordinator: STATE/models/VERSION folders and STATE/models/promoted.json, which says who serves.

import { cp, mkdir, readdir, stat } from 'node:fs/promises';
import path from 'node:path';
import { publishFolder } from '../../common/atomic-files.js';
import { messageOf, NotFoundError, StateError, UsageError } from '../../common/errors.js';
import { suggestion } from '../../common/nearest.js';
import { type LoadedModel, openModel, readManifest } from './model-folder.js';
import type { ModelManifest } from './model-manifest.js';
import { PREVIOUS_MAX, PROMOTED_FILE, type Promotions, promotionsInFile } from './promotions.js';

/** A folder name on every system: no separators, no leading dot, none of the devices' names of Windows. */
const VERSION_PATTERN = /^(?!(?:con|prn|aux|nul|com\d|lpt\d)(?:\.|$))[a-z0-9][a-z0-9._-]{0,63}$/i;

export interface RegisteredModel {
  version: string;
  isPromoted: boolean;
  /** Absent when model.json cannot be read. */
  manifest?: ModelManifest;
  /** Why model.json cannot be read. */
  problem?: string;
}

/**
 * Changes are made one after another and are on disk when their promise resolves. One process may change a registry
 * at a time.
 */
export class Registry {
  readonly #folder: string;
  readonly #promotions: Promotions;
  #lastChange: Promise<unknown> = Promise.resolve();

  private constructor(folder: string, promotions: Promotions) {
    this.#folder = folder;
    this.#promotions = promotions;
  }

  /**
   * Opens the registry of a state folder, which is made when it is not there.
   *
   * @param promotions where it stands who serves. @default promoted.json in the folder
   */
  static async open(stateDir: string, promotions?: Promotions): Promise<Registry> {
    const folder = path.resolve(stateDir, 'models');
    await mkdir(folder, { recursive: true });
    return new Registry(folder, promotions ?? promotionsInFile(folder));
  }

  /** Folder of a version. @throws {UsageError} the name could leave the registry or is no folder name. */
  folderOf(version: string): string {
    if (VERSION_PATTERN.test(version) && version !== PROMOTED_FILE) return path.join(this.#folder, version);
    throw new UsageError(
      'STOA_USAGE',
      'a model version is 1 to 64 letters, digits, ".", "_" or "-", beginning with a letter or digit',
      { fields: { field: 'version' } },
    );
  }

  /**
   * Copies a model folder into the registry.
   *
   * @throws {StateError} `STOA_EXISTS`: the version is there already. Errors of `openModel`: the folder is not whole.
   */
  add(version: string, dir: string): Promise<void> {
    return this.#change(async () => {
      const target = this.folderOf(version);
      const { dir: source } = await openModel(dir);
      await publishFolder(target, (temporary) => cp(source, temporary, { recursive: true }));
    });
  }

  /** All models, newest first; those that cannot be read last. */
  async list(): Promise<RegisteredModel[]> {
    const current = await this.promoted();
    const entries = await readdir(this.#folder, { withFileTypes: true });
    const models = entries
      .filter((entry) => entry.isDirectory() && VERSION_PATTERN.test(entry.name))
      .map(async ({ name }): Promise<RegisteredModel> => {
        const model = { version: name, isPromoted: name === current };
        return readManifest(path.join(this.#folder, name)).then(
          (manifest) => ({ ...model, manifest }),
          (error: unknown) => ({ ...model, problem: messageOf(error) }),
        );
      });
    return (await Promise.all(models)).sort(
      (a, b) =>
        (b.manifest?.createTime ?? '').localeCompare(a.manifest?.createTime ?? '') ||
        b.version.localeCompare(a.version),
    );
  }

  /** The version that is served, or undefined. @throws {CorruptError} promoted.json is damaged. */
  async promoted(): Promise<string | undefined> {
    return (await this.#promotions.read())?.current;
  }

  /** The model that is served, opened, or undefined. */
  async openPromoted(): Promise<LoadedModel | undefined> {
    const version = await this.promoted();
    return version === undefined ? undefined : this.#open(version);
  }

  /**
   * Makes a version the one that is served. Promoting it again changes nothing.
   *
   * @returns the model, opened and checked before anything was changed.
   * @throws {NotFoundError} `STOA_NOT_FOUND_MODEL`. Errors of `openModel`.
   */
  promote(version: string): Promise<LoadedModel> {
    return this.#change(async () => {
      const model = await this.#open(version);
      const promoted = await this.#promotions.read();
      if (promoted?.current === version) return model;
      const previous = promoted === undefined ? [] : [...promoted.previous, promoted.current];
      await this.#promotions.write({ current: version, previous: previous.slice(-PREVIOUS_MAX) });
      return model;
    });
  }

  /**
   * Serves the version that was promoted before the present one.
   *
   * @throws {StateError} `STOA_NO_PREVIOUS_MODEL`. Errors of `openModel`: the present one stays.
   */
  rollback(): Promise<LoadedModel> {
    return this.#change(async () => {
      const promoted = await this.#promotions.read();
      const version = promoted?.previous.at(-1);
      if (version === undefined) {
        throw new StateError(
          'STOA_NO_PREVIOUS_MODEL',
          'there is no model to roll back to: at most one was promoted; promote one by its version',
        );
      }
      const model = await this.#open(version);
      await this.#promotions.write({ current: version, previous: promoted!.previous.slice(0, -1) });
      return model;
    });
  }

  async #open(version: string): Promise<LoadedModel> {
    const folder = this.folderOf(version);
    const isThere = await stat(folder).then(
      () => true,
      () => false,
    );
    if (isThere) return openModel(folder);
    const known = (await this.list()).map((model) => model.version);
    throw new NotFoundError(
      'STOA_NOT_FOUND_MODEL',
      `there is no model "${version}"${suggestion(version, known)}; "stoa model ls" lists those there are`,
      { fields: { field: 'version' } },
    );
  }

  /** Runs changes one after another; a failed one does not stop the next. */
  #change<T>(change: () => Promise<T>): Promise<T> {
    const result = this.#lastChange.then(change, change);
    this.#lastChange = result.catch(() => undefined);
    return result;
  }
}
