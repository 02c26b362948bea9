import { GraphQLError } from 'graphql';
import { DocumentRefused } from './documents.ts';

/**
 * What the different subscriptions of one user may cost together for each event that they hear of. Each event is
 * executed once for each of them, beside everything else that the process does; equal ones count once.
 */
const mostPerEvent = 500;
/** However little it asks for, a document of its own is an execution of its own. */
const leastCost = 10;

interface Open {
  cost: number;
  times: number;
}

/** Counts what the open subscriptions of each user cost. */
export class LiveBudget {
  /** By who listens to what, then by the group of equal subscriptions. */
  readonly #open = new Map<string, Map<string, Open>>();

  /**
   * @param listener who listens, and to what: the inbox, or one conversation
   * @returns to be called when the subscription ends
   * @throws DocumentRefused QUERY_TOO_COMPLEX
   */
  take(listener: string, group: string, cost: number): () => void {
    const groups = this.#open.get(listener) ?? new Map<string, Open>();
    const open = groups.get(group) ?? { cost: Math.max(cost, leastCost), times: 0 };
    if (open.times === 0) {
      let sum = open.cost;
      for (const other of groups.values()) sum += other.cost;
      if (sum > mostPerEvent) throw tooMuch(sum);
      groups.set(group, open);
      this.#open.set(listener, groups);
    }
    open.times += 1;
    return () => {
      open.times -= 1;
      if (open.times > 0) return;
      groups.delete(group);
      if (groups.size === 0) this.#open.delete(listener);
    };
  }
}

function tooMuch(sum: number): DocumentRefused {
  const message = `your open subscriptions would cost ${sum} for each event, at most ${mostPerEvent} are taken: use one document for all, and ask for less`;
  return new DocumentRefused([new GraphQLError(message, { extensions: { code: 'QUERY_TOO_COMPLEX' } })]);
}
