import { ExchangeFile } from '../../common/exchange-file.js';
import { RowExchange, type TableShape } from '../../common/row-exchange.js';

/** The exchange files of the sessions whose workers are on this machine. */
export class Exchanges {
  readonly #bySession = new Map<string, ExchangeFile>();

  /** Opens the file that a worker named. False: it is not on this machine, and rows go over the network. */
  open(sessionId: string, name: string): boolean {
    const file = ExchangeFile.open(name);
    if (file === undefined) return false;
    this.#bySession.set(sessionId, file);
    return true;
  }

  /** The session's exchange of rows, or undefined where it has none. */
  get(sessionId: string, shape: TableShape): RowExchange | undefined {
    const file = this.#bySession.get(sessionId);
    return file && new RowExchange(file, shape);
  }

  close(sessionId: string): void {
    this.#bySession.get(sessionId)?.close();
    this.#bySession.delete(sessionId);
  }

  closeAll(): void {
    for (const sessionId of [...this.#bySession.keys()]) this.close(sessionId);
  }
}
