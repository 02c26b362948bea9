import pg from 'pg';

/** A row as an array of its columns, each as PostgreSQL writes it. */
export type Row = (string | null)[];

export interface Statement {
  /** Prepared once on each connection under this name. */
  name: string;
  text: string;
}

/** A fixed number of connections, each with one statement at a time. */
export interface Pool {
  /** `values` gets the number of the connection: a counter's slot of its own. */
  run(statement: Statement, values: (slot: number) => unknown[]): Promise<Row[]>;
  read(name: string, text: string, values: unknown[]): Promise<Row[]>;
}

// A generic plan takes every conversation for a short one and would sort the 20,000 messages of the long one: without
// bitmap scans it follows the index, which has the order.
const options = '-c enable_bitmapscan=off -c timezone=UTC -c datestyle=ISO';

// Columns stay the texts that came: most of them go into JSON as they are.
const types = { getTypeParser: (() => String) as typeof pg.types.getTypeParser };

interface Slot {
  client: pg.Client;
  number: number;
}

export async function openPool(url: string, size: number): Promise<Pool> {
  const free: Slot[] = [];
  const waiting: ((slot: Slot) => void)[] = [];
  for (let number = 0; number < size; number += 1) {
    const client = new pg.Client({ connectionString: url, application_name: 'yardstick', options, types });
    await client.connect();
    free.push({ client, number });
  }

  async function run(statement: Statement, values: (slot: number) => unknown[]): Promise<Row[]> {
    const slot = free.pop() ?? (await new Promise<Slot>((resolve) => waiting.push(resolve)));
    try {
      const result = await slot.client.query({ ...statement, values: values(slot.number), rowMode: 'array' });
      return result.rows;
    } finally {
      const next = waiting.shift();
      if (next) next(slot);
      else free.push(slot);
    }
  }

  return { run, read: (name, text, values) => run({ name, text }, () => values) };
}
