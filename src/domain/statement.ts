import type { EntityManager } from '@mikro-orm/postgresql';
import type { RawBuilder } from 'kysely';

/**
 * Runs one statement with bound values (kysely's `sql` tag) on the entity manager, inside its transaction if it has
 * one. timestamptz, int8 and numeric come back as strings: select `extract(epoch from column) * 1000` or cast.
 */
export async function rows<Row>(em: EntityManager, statement: RawBuilder<Row>): Promise<Row[]> {
  const result = await statement.execute(em.getKysely());
  return result.rows;
}
