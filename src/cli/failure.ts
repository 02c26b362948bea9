/** Ends a command with one sentence for the person at the terminal: what was wrong and what would be right. */
export class CliFailure extends Error {
  /** 1: it did not work out; 2: the command was not understood. */
  readonly exitCode: 1 | 2;

  constructor(message: string, exitCode: 1 | 2 = 1) {
    super(message);
    this.exitCode = exitCode;
  }
}

/** The sentence of whatever was thrown, without stack and on as few lines as it came with. */
export function sentenceOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  // Node joins the faults of several addresses in an AggregateError whose own message is empty.
  if (error instanceof AggregateError && error.message === '') return error.errors.map(sentenceOf).join('; ');
  return error.message || error.name;
}
