import type { EntityManager } from '@mikro-orm/postgresql';
import {
  DummyDriver,
  Kysely,
  PostgresAdapter,
  PostgresIntrospector,
  PostgresQueryCompiler,
  type RawBuilder,
} from 'kysely';
import type { Core, Ctx, Statement } from './context.ts';

/**
 * Runs one statement with bound values (kysely's `sql` tag) on the entity manager, inside its transaction if it has
 * one. timestamptz, int8 and numeric come back as strings: select `extract(epoch from column) * 1000` or cast.
 */
export async function rows<Row>(em: EntityManager, statement: RawBuilder<Row>): Promise<Row[]> {
  const result = await statement.execute(em.getKysely());
  return result.rows;
}

const compiler = new Kysely<unknown>({
  dialect: {
    createAdapter: () => new PostgresAdapter(),
    createDriver: () => new DummyDriver(),
    createIntrospector: (db) => new PostgresIntrospector(db),
    createQueryCompiler: () => new PostgresQueryCompiler(),
  },
});

/**
 * The same for the reads that come most often. Outside a transaction it goes to the pool itself, which costs half of the
 * way through entity manager and query executor.
 */
export async function readRows<Row>(ctx: Ctx, statement: RawBuilder<Row>): Promise<Row[]> {
  return 'hints' in ctx ? rows(ctx.em, statement) : read(ctx, compiled(statement));
}

/** The same for one whose text hardly comes again. */
export async function readOnce<Row>(ctx: Ctx, statement: RawBuilder<Row>): Promise<Row[]> {
  return 'hints' in ctx ? rows(ctx.em, statement) : read(ctx, { ...compiled(statement), isOneOff: true });
}

const texts = new Map<string, string>();

/**
 * The same for a statement whose text depends on nothing but `key`: it is put together once.
 *
 * @param parameters the values in the order in which the statement binds them
 */
export async function readFixed<Row>(
  ctx: Ctx,
  { key, parameters, build }: { key: string; parameters: readonly unknown[]; build: () => RawBuilder<Row> },
): Promise<Row[]> {
  if ('hints' in ctx) return rows(ctx.em, build());
  let text = texts.get(key);
  if (text === undefined) {
    text = compiled(build()).sql;
    texts.set(key, text);
  }
  return read(ctx, { sql: text, parameters });
}

function read<Row>({ core, reads }: Ctx, statement: Statement): Promise<Row[]> {
  return reads ? reads.run((count) => core.sql.run<Row>(statement, count)) : core.sql.run<Row>(statement);
}

/** A statement as a transaction of its own. */
export async function runStatement<Row>(core: Pick<Core, 'sql'>, statement: RawBuilder<Row>): Promise<Row[]> {
  return core.sql.run<Row>(compiled(statement));
}

/**
 * An array of ids, numbers, booleans or instants as PostgreSQL reads it. `pg` would look at each value and quote it, which
 * for a large batch is a good part of its work. Not for texts that others wrote: `textArray`.
 */
export function plainArray(values: readonly (string | number | boolean)[]): string {
  return `{${values.join(',')}}`;
}

/** An array of any texts; null stays null. */
export function textArray(values: readonly (string | null)[]): string {
  let array = '';
  for (const value of values) array += value === null ? ',null' : `,"${value.replace(/["\\]/g, '\\$&')}"`;
  return `{${array.slice(1)}}`;
}

/** Text and values. */
export function compiled(statement: RawBuilder<unknown>): Statement {
  return statement.compile(compiler);
}

/** A timestamptz column in milliseconds since 1970: a number is cheaper to read than a text. `round`, as seconds are not exact. */
export function epochMs(column: string): string {
  return `round(date_part('epoch', ${column}) * 1000)`;
}
