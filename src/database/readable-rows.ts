import type pg from 'pg';

type View = new (values: unknown[]) => object;

const views = new Map<string, View>();
const mostViews = 1_000;

/**
 * Rows whose values are read under the names of their columns. `pg` would make an object with all of them for each row: half
 * of what a page of a list costs in memory. Not to be spread: the names are not own properties.
 */
export function readable<Row>(text: string, rows: unknown[][], fields: readonly pg.FieldDef[]): Row[] {
  if (rows.length === 0) return [];
  let view = views.get(text);
  if (!view) {
    if (views.size >= mostViews) views.clear();
    view = viewOf(fields.map(({ name }) => name));
    views.set(text, view);
  }
  const made: object[] = [];
  for (const values of rows) made.push(new view(values));
  return made as Row[];
}

function viewOf(names: string[]): View {
  class View {
    readonly values: unknown[];

    constructor(values: unknown[]) {
      this.values = values;
    }
  }
  for (const [index, name] of names.entries()) {
    Object.defineProperty(View.prototype, name, {
      get(this: View) {
        return this.values[index];
      },
    });
  }
  return View;
}
