import type { Socket } from 'node:net';
import pg from 'pg';
import type { Flights, Statement } from '../domain/context.ts';
import { readable } from './readable-rows.ts';
import { inStatementSpan } from './statement-span.ts';

/** A connection holds at most this many prepared statements. Ours are a few dozen. */
const mostPrepared = 200;
/** A text is worth preparing once it has come this often. */
const preparedFrom = 3;
/** Texts that differ only in their numbers or in how many values they bind: past it the others are sent as they are. */
const mostOfOneShape = 8;

// Of the whole process, so that each connection prepares what any of them has often seen. A name means one text for ever.
// When the names run out or their plans are stale all are given up together: a new generation starts, and connections of
// the old one, which hold what nobody asks for any more, are replaced.
let generation = 1;
const seen = new Map<string, number>();
const names = new Map<string, string>();
const shapes = new Map<string, number>();

function startOver(): void {
  generation += 1;
  for (const known of [seen, names, shapes]) known.clear();
}

// PostgreSQL plans a prepared statement once for each connection instead of each time: for an ingest that is more than half
// of its work. Only texts with bound values: a text with values inside is another one each time.
function nameOf(text: string): string | undefined {
  const known = names.get(text);
  if (known) return known;
  const times = (seen.get(text) ?? 0) + 1;
  if (times < preparedFrom) {
    if (seen.size >= mostPrepared) seen.clear();
    seen.set(text, times);
    return undefined;
  }
  const shape = shapeOf(text);
  const alike = (shapes.get(shape) ?? 0) + 1;
  if (alike > mostOfOneShape) return undefined;
  if (names.size >= mostPrepared) startOver();
  seen.delete(text);
  shapes.set(shape, alike);
  const name = `parley_${generation}_${names.size}`;
  names.set(text, name);
  return name;
}

function shapeOf(text: string): string {
  return text
    .replaceAll(/\d+/g, '0')
    .replaceAll(/\$0(?:, ?\$0)+/g, '$0')
    .replaceAll(/\(\$0\)(?:, ?\(\$0\))+/g, '($0)');
}

/** True when the server refused a prepared statement for its age and would take the same text anew. */
function isStale(error: pg.DatabaseError): boolean {
  // 0A000 is any unsupported feature; the routine tells "cached plan must not change result type" in each language.
  return error.code === '26000' || (error.code === '0A000' && error.routine === 'RevalidateCachedQuery');
}

const begin: Statement = { sql: 'begin', parameters: [] };
const commit: Statement = { sql: 'commit', parameters: [] };
const rollback: Statement = { sql: 'rollback', parameters: [] };
/** A begin that the server has forgotten would leave the statements behind it without a transaction. */
const unprepared = new Set([begin, commit, rollback].map(({ sql }) => sql));

interface Query {
  text: string;
  values: unknown[];
  name: string | undefined;
  rowMode?: 'array';
}

function queryOf({ sql: text, parameters, isOneOff }: Statement): Query {
  const name = isOneOff || unprepared.has(text) ? undefined : nameOf(text);
  return { text, values: parameters as unknown[], name, rowMode: 'array' };
}

function rowsOf<Row>(text: string, answer: unknown): Row[] {
  const { rows, fields } = answer as pg.QueryArrayResult;
  return readable<Row>(text, rows, fields);
}

type Send = (...args: unknown[]) => unknown;

/** Kysely never returns a connection to the pool when one of these fails, and the state it is in is unknown. */
const leavesUnknownState = /^(?:begin|start transaction|rollback)\b(?! to)/i;

/**
 * The client of the pool. It prepares what comes again and again, and takes itself out of the pool when its connection is
 * of no use: when the server does not answer within `query_timeout` (`pg` itself only rejects the query, and everybody who
 * gets the connection next would wait behind the same silence), and when a transaction neither begins nor rolls back.
 */
export class DatabaseClient extends pg.Client {
  #generation: number | undefined;
  /** Set by the pool while the client is lent. */
  release?: (error?: Error) => void;

  /** True when it holds prepared statements that nobody asks for any more. */
  get isOutdated(): boolean {
    return this.#generation !== undefined && this.#generation !== generation;
  }

  // biome-ignore lint/suspicious/noExplicitAny: stands for all overloads of `pg`, which differ in what they return.
  override query(...args: unknown[]): any {
    const [text, values] = args;
    // The others, with a callback or a cursor, are no business of Kysely's transactions.
    if (typeof text !== 'string' || !Array.isArray(values) || args.length > 2) return this.#send(...args);
    const name = values.length > 0 ? nameOf(text) : undefined;
    return inStatementSpan(text, () => this.#askAgain({ text, values, name }));
  }

  /** The same for a text that has no values inside either way. */
  async run<Row>(statement: Statement, count?: (bytes: number) => void): Promise<Row[]> {
    const { sql: text } = statement;
    const query = queryOf(statement);
    const stream = this.#stream;
    const before = stream.bytesRead;
    const answer = await inStatementSpan(text, () => this.#askAgain(query));
    count?.(stream.bytesRead - before);
    return rowsOf<Row>(text, answer);
  }

  /** One transaction, sent at once and answered at once. Throws what the first that failed was refused for. */
  async runTogether(statements: readonly Statement[]): Promise<unknown[][]> {
    const [, ...answers] = await this.#flight([begin, ...statements, commit]);
    return answers.slice(0, -1);
  }

  /** @see Sql */
  async inFlights<T>(work: (flights: Flights) => Promise<T>): Promise<T> {
    const stage = { hasBegun: false, isOver: false };
    const send = async (statements: readonly Statement[]) => {
      if (stage.hasBegun) return this.#flight(statements);
      stage.hasBegun = true;
      return (await this.#flight([begin, ...statements])).slice(1);
    };
    try {
      const result = await work({
        send,
        async sendLast(statements) {
          const found = await send([...statements, commit]);
          stage.isOver = true;
          return found.slice(0, -1);
        },
      });
      if (stage.hasBegun && !stage.isOver) await this.#flight([commit]);
      return result;
    } catch (error) {
      // Where it cannot be rolled back the connection leaves the pool.
      if (stage.hasBegun && this.getTransactionStatus() !== 'I') {
        await this.#flight([rollback]).catch(() => undefined);
      }
      throw error;
    }
  }

  /** Sent in one write. Each statement has its own answer: behind one that fails the transaction refuses the others. */
  async #flight(statements: readonly Statement[]): Promise<unknown[][]> {
    const stream = this.#stream;
    const ofGeneration = generation;
    stream.cork();
    const answers = statements.map((statement) => this.#part(statement));
    stream.uncork();
    const settled = await Promise.allSettled(answers);
    const refused = settled.find((one) => one.status === 'rejected');
    if (refused) {
      // Only the first one says why: behind it the server takes no preparing, so the others seem forgotten.
      noteStale(refused.reason, ofGeneration);
      throw refused.reason;
    }
    return Promise.all(answers);
  }

  get #stream(): Socket {
    return (this as unknown as { connection: { stream: Socket } }).connection.stream;
  }

  /** Never asked again by itself: by then the transaction around it may be over. */
  async #part(statement: Statement): Promise<unknown[]> {
    const { sql: text } = statement;
    return rowsOf(text, await inStatementSpan(text, () => this.#ask(queryOf(statement))));
  }

  async #askAgain(query: Query): Promise<unknown> {
    const ofGeneration = generation;
    try {
      return await this.#ask(query);
    } catch (error) {
      if (query.name) noteStale(error, ofGeneration);
      // Inside a transaction it is lost already: `transaction` runs it again.
      const isAlone = this.getTransactionStatus() === 'I';
      if (!query.name || !isAlone || !isStale(error as pg.DatabaseError)) throw error;
      return this.#ask({ ...query, name: undefined });
    }
  }

  async #ask(query: Query): Promise<unknown> {
    const { text, name } = query;
    if (name) this.#generation ??= generation;
    try {
      return await this.#send(query);
    } catch (error) {
      if ((error as Error).message === 'Query read timeout') void this.end();
      if (leavesUnknownState.test(text)) this.#leavePool(error as Error);
      throw error;
    }
  }

  #send(...args: unknown[]): unknown {
    return (super.query as Send).apply(this, args);
  }

  #leavePool(error: Error): void {
    this.release?.(error);
    // Given back with an error the pool never lends it again, so whoever still gives it back does no harm.
    this.release = () => undefined;
  }
}

/** What the server has forgotten is prepared anew by everybody; once, however many hear of it. */
function noteStale(error: unknown, ofGeneration: number): void {
  if (isStale(error as pg.DatabaseError) && ofGeneration === generation) startOver();
}
