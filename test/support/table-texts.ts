import type { App } from './app.ts';

/** Every row of the tables, of all of them unless named, as PostgreSQL writes it: what a dump holds. */
export async function tableTexts(app: App, names?: readonly string[]): Promise<string> {
  const em = app.core.em.fork();
  const tables =
    names ??
    (
      await em.execute<{ tablename: string }[]>(
        "select tablename from pg_tables where schemaname = 'public' order by 1",
      )
    ).map(({ tablename }) => tablename);
  const texts: string[] = [];
  for (const table of tables) {
    const found = await em.execute<{ text: string }[]>(`select t::text "text" from "${table}" t order by 1`);
    texts.push(table, ...found.map(({ text }) => text));
  }
  return texts.join('\n');
}
