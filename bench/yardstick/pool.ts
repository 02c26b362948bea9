import pg from 'pg';

/** A row as an array of its columns, each as PostgreSQL writes it. */
export type Row = (string | null)[];

export interface Statement {
  /** Prepared once on each connection under this name. */
  name: string;
  text: string;
}

/** Connections up to a fixed number, each with one statement at a time. */
export interface Pool {
  /** `values` gets the number of the connection: a counter's slot of its own. */
  run(statement: Statement, values: (slot: number) => unknown[]): Promise<Row[]>;
  read(name: string, text: string, values: unknown[]): Promise<Row[]>;
}

// A generic plan takes every conversation for a short one and would sort the 20,000 messages of the long one: without
// bitmap scans it follows the index, which has the order. The index of words, though, knows no other way.
const optionsOf = (bitmapScans: boolean): string =>
  `-c enable_bitmapscan=${bitmapScans ? 'on' : 'off'} -c timezone=UTC -c datestyle=ISO`;

// Columns stay the texts that came: most of them go into JSON as they are.
const types = { getTypeParser: (() => String) as typeof pg.types.getTypeParser };

interface Slot {
  client: pg.Client;
  number: number;
}

export interface PoolOptions {
  url: string;
  size: number;
  bitmapScans: boolean;
}

/** Connections are opened when they are needed first: of two pools one is idle. */
export function createPool({ url, size, bitmapScans }: PoolOptions): Pool {
  const free: Slot[] = [];
  const waiting: ((slot: Slot) => void)[] = [];
  let opened = 0;

  async function open(): Promise<Slot> {
    const number = opened;
    opened += 1;
    const options = optionsOf(bitmapScans);
    const client = new pg.Client({ connectionString: url, application_name: 'yardstick', options, types });
    await client.connect();
    return { client, number };
  }

  function freed(): Promise<Slot> {
    return opened < size ? open() : new Promise((resolve) => waiting.push(resolve));
  }

  async function run(statement: Statement, values: (slot: number) => unknown[]): Promise<Row[]> {
    const slot = free.pop() ?? (await freed());
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
