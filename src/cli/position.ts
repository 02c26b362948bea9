/**
 * Which lines of a file the gateway has acknowledged: all up to `acknowledged`, and those few `beyond` it that were
 * quicker than a line before them. Line numbers begin with 1.
 */
export class Position {
  #acknowledged: number;
  readonly #beyond: Set<number>;

  constructor(acknowledged = 0, beyond: number[] = []) {
    this.#acknowledged = acknowledged;
    this.#beyond = new Set(beyond);
    this.#close();
  }

  get acknowledged(): number {
    return this.#acknowledged;
  }

  get beyond(): number[] {
    return [...this.#beyond].sort((a, b) => a - b);
  }

  has(line: number): boolean {
    return line <= this.#acknowledged || this.#beyond.has(line);
  }

  acknowledge(line: number): void {
    if (line > this.#acknowledged) this.#beyond.add(line);
    this.#close();
  }

  #close(): void {
    while (this.#beyond.delete(this.#acknowledged + 1)) this.#acknowledged += 1;
  }
}
