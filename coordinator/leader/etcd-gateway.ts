// The few calls of etcd that an election needs, over the JSON gateway that every etcd 3 has on its client port.
// Keys and values travel in base64, 64-bit numbers as text.

import { messageOf, SystemError, UsageError } from '../../common/errors.js';

/** A call that takes longer is as good as none: leases last seconds. */
const CALL_MS = 1000;
/** A renewal writes nothing to etcd's disk; a member that takes longer leaves time to ask another one. */
const RENEWAL_MS = 400;

export interface EtcdKey {
  readonly value: string;
  /** Revision at which the key was made: the fencing token of who made it. */
  readonly createRevision: number;
  readonly modRevision: number;
}

/** One condition of a transaction. */
export type EtcdCompare =
  | { readonly key: string; readonly createRevision: number }
  | { readonly key: string; readonly modRevision: number };

export class EtcdGateway {
  readonly #urls: readonly string[];
  #at = 0;

  /** @param urls "http://HOST:PORT[,http://HOST:PORT…]", members of one etcd. @throws {UsageError} */
  constructor(urls: string) {
    this.#urls = urls.split(',').map(checkedUrl);
  }

  /** @returns the lease's id. */
  async grantLease(ttlSeconds: number): Promise<string> {
    const { ID } = await this.#post<{ ID: string }>('lease/grant', { TTL: ttlSeconds });
    return ID;
  }

  /** @returns false when the lease is over. */
  async keepAlive(lease: string): Promise<boolean> {
    const { result } = await this.#post<{ result?: { TTL?: string } }>(
      'lease/keepalive',
      { ID: lease },
      RENEWAL_MS,
    );
    return Number(result?.TTL ?? 0) > 0;
  }

  async revokeLease(lease: string): Promise<void> {
    await this.#post('lease/revoke', { ID: lease });
  }

  async get(key: string): Promise<EtcdKey | undefined> {
    const { kvs } = await this.#post<{ kvs?: Record<string, string>[] }>('kv/range', { key: base64(key) });
    const found = kvs?.[0];
    if (found === undefined) return undefined;
    return {
      value: Buffer.from(found['value'] ?? '', 'base64').toString('utf8'),
      createRevision: Number(found['create_revision']),
      modRevision: Number(found['mod_revision']),
    };
  }

  /**
   * Puts a key if all conditions hold. A revision of 0 means that the key is not there.
   *
   * @returns the revision of the write, or undefined when a condition did not hold and nothing was written.
   */
  async putIf(
    conditions: readonly EtcdCompare[],
    put: { key: string; value: string; lease?: string },
  ): Promise<number | undefined> {
    const compare = conditions.map((condition) =>
      'createRevision' in condition
        ? { key: base64(condition.key), target: 'CREATE', create_revision: String(condition.createRevision) }
        : { key: base64(condition.key), target: 'MOD', mod_revision: String(condition.modRevision) },
    );
    const { key, value, lease } = put;
    const request_put = { key: base64(key), value: base64(value), ...(lease && { lease }) };
    const answer = await this.#post<{ succeeded?: boolean; header: { revision: string } }>('kv/txn', {
      compare,
      success: [{ request_put }],
    });
    return answer.succeeded === true ? Number(answer.header.revision) : undefined;
  }

  /** Asks the member that answered last, then the others. @throws {SystemError} `STOA_UNREACHABLE`: none answers. */
  async #post<T>(path: string, body: object, timeoutMs = CALL_MS): Promise<T> {
    let failure: unknown;
    for (let turn = 0; turn < this.#urls.length; turn++) {
      const url = this.#urls[this.#at % this.#urls.length]!;
      try {
        const response = await fetch(`${url}/v3/${path}`, {
          method: 'POST',
          body: JSON.stringify(body),
          signal: AbortSignal.timeout(timeoutMs),
        });
        const text = await response.text();
        if (response.ok) return JSON.parse(text) as T;
        failure = new Error(`${response.status} ${text.slice(0, 200)}`);
      } catch (error) {
        failure = (error as Error).cause ?? error;
      }
      this.#at++;
    }
    throw new SystemError(
      'STOA_UNREACHABLE',
      `etcd does not answer at ${this.#urls.join(', ')} (${messageOf(failure)}); check that it runs there`,
      { fields: { address: this.#urls.join(',') }, cause: failure },
    );
  }
}

function checkedUrl(text: string): string {
  const isSound = URL.canParse(text) && ['http:', 'https:'].includes(new URL(text).protocol);
  if (isSound) return text.replace(/\/+$/, '');
  throw new UsageError('STOA_USAGE', `--etcd "${text}" is not a URL; write it like http://127.0.0.1:2379`, {
    fields: { field: '--etcd' },
  });
}

function base64(text: string): string {
  return Buffer.from(text, 'utf8').toString('base64');
}
