import type pg from 'pg';

/** Notes who waits for a connection of the pool. @returns how long the first of those who wait now has, in ms */
export function watchWaits(pool: pg.Pool): () => number {
  // In the order in which they asked.
  const asked = new Set<{ at: number }>();
  const connect = pool.connect.bind(pool);
  // Kysely waits for a promise; with a callback `pg` itself asks, for statements outside the ORM, of which there are none.
  pool.connect = (async () => {
    const wait = { at: performance.now() };
    asked.add(wait);
    try {
      return await connect();
    } finally {
      asked.delete(wait);
    }
  }) as typeof pool.connect;
  return () => {
    const [first] = asked;
    return first ? performance.now() - first.at : 0;
  };
}
