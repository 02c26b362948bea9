/** What became of a message that a source sent. */
export type IngestOutcome = 'accepted' | 'duplicate' | 'rejected';

/** What one attempt to deliver came to: the final word, or another attempt later. */
export type DeliveryOutcome = 'delivered' | 'failed' | 'retried';

/**
 * Takes the figures of the work that the process does; main.ts puts in what shows them. Called once for a batch or an
 * operation, never once for a row. Names come from the schema and the database's own rows, never from a caller.
 */
export interface Meter {
  ingested(outcome: IngestOutcome, messages: number): void;
  delivered(sourceId: string, outcome: DeliveryOutcome): void;
  ranOperation(name: string, durationMs: number): void;
  /** `code` as GraphQL tells it. */
  failed(code: string): void;
}

const nothing = () => undefined;

/** For commands, which nobody asks for figures. */
export const silentMeter: Meter = { ingested: nothing, delivered: nothing, ranOperation: nothing, failed: nothing };
