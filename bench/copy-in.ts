import type pg from 'pg';

/** The parts of the driver's connection that COPY needs; its types leave them out. */
interface CopyConnection {
  query(text: string): void;
  sendCopyFromChunk(chunk: Buffer): void;
  endCopyFrom(): void;
}

/** One `COPY ... FROM STDIN` as the driver's queue takes it. */
class CopyIn {
  readonly #statement: string;
  readonly #chunks: Iterable<Buffer>;
  readonly #done: (error?: Error) => void;
  #error: Error | undefined;

  constructor(statement: string, chunks: Iterable<Buffer>, done: (error?: Error) => void) {
    this.#statement = statement;
    this.#chunks = chunks;
    this.#done = done;
  }

  submit(connection: CopyConnection): void {
    connection.query(this.#statement);
  }

  handleCopyInResponse(connection: CopyConnection): void {
    for (const chunk of this.#chunks) connection.sendCopyFromChunk(chunk);
    connection.endCopyFrom();
  }

  handleCommandComplete(): void {}

  handleError(error: Error): void {
    this.#error = error;
    this.#done(error);
  }

  handleReadyForQuery(): void {
    if (!this.#error) this.#done();
  }
}

/** Copies rows in COPY's text format into a table, in one transaction of its own. */
export function copyIn(client: pg.Client, statement: string, chunks: Iterable<Buffer>): Promise<void> {
  return new Promise((resolve, reject) => {
    const copy = new CopyIn(statement, chunks, (error) => (error ? reject(error) : resolve()));
    client.query(copy as unknown as pg.Submittable);
  });
}
