/** Where the arrays of one upload lie: each at a place that a kernel's binding may begin at. */
export class InputLayout {
  readonly #alignment: number;
  #bytes = 0;

  constructor(alignment: number) {
    this.#alignment = alignment;
  }

  /** Bytes in all so far. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Makes room for `bytes`; an empty array still has a place, since a binding must not be empty. */
  add(bytes: number): InputPart {
    const size = Math.max(16, Math.ceil(bytes / 16) * 16);
    const offset = this.#bytes;
    this.#bytes += Math.ceil(size / this.#alignment) * this.#alignment;
    return { offset, size };
  }
}

export interface InputPart {
  readonly offset: number;
  /** A multiple of 16, as uniforms need. */
  readonly size: number;
}
