import pg from 'pg';

/** Texts that are prepared; past it new ones are sent as they are. Ours are a few dozen. */
const mostPrepared = 500;
/** A text is worth preparing once it has come this often. */
const preparedFrom = 3;

const seen = new Map<string, number>();
const names = new Map<string, string>();

// PostgreSQL plans a prepared statement once for each connection instead of each time: for an ingest that is more than half
// of its work. Only texts with bound values: a text with values inside is another one each time.
function nameOf(text: string): string | undefined {
  const known = names.get(text);
  if (known || names.size >= mostPrepared) return known;
  const times = (seen.get(text) ?? 0) + 1;
  if (times < preparedFrom) {
    if (seen.size >= mostPrepared) seen.clear();
    seen.set(text, times);
    return undefined;
  }
  seen.delete(text);
  const name = `parley_${names.size}`;
  names.set(text, name);
  return name;
}

type QueryArguments = [query: unknown, values?: unknown, ...rest: unknown[]];

function prepared(args: QueryArguments): unknown[] {
  const [text, values, ...rest] = args;
  if (typeof text !== 'string' || !Array.isArray(values) || values.length === 0) return args;
  const name = nameOf(text);
  return name ? [{ name, text, values }, ...rest] : args;
}

/**
 * The client of the pool. It prepares what comes again and again, and gives its connection up when the server does not
 * answer within `query_timeout`: `pg` itself only rejects the query, and the connection would go back to the pool and let
 * everybody who gets it wait behind the same silence.
 */
export class DatabaseClient extends pg.Client {}

const query = pg.Client.prototype.query as (...args: unknown[]) => unknown;
Reflect.defineProperty(DatabaseClient.prototype, 'query', {
  value(
    this: DatabaseClient & { connection?: { stream: NodeJS.ReadWriteStream & { destroy(): void } } },
    ...args: QueryArguments
  ) {
    const answer = Reflect.apply(query, this, prepared(args));
    if (answer instanceof Promise) {
      answer.catch((error: Error) => {
        if (error.message === 'Query read timeout') this.connection?.stream.destroy();
      });
    }
    return answer;
  },
});
