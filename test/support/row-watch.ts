import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Row } from '../../src/rest/run-row.ts';
import { restRows } from './rest-rows.ts';

interface Answered {
  status: number;
  text: string;
  body: unknown;
}

let rows: Promise<Map<string, Row>> | undefined;
const seen = new Set<string>();

/**
 * Holds a good answer against the shape that its row promises: any test that calls a row tests this too. Which rows were
 * seen is noted for the end of the whole run.
 *
 * @param path `/conversations.list`
 */
export async function watchRow(path: string, { status, text, body }: Answered): Promise<void> {
  rows ??= restRows().then((all) => new Map(all));
  const name = path.slice(1);
  const row = (await rows).get(name);
  if (!row || status >= 300) return;
  const fault = row.answer ? row.answer.safeParse(body).error?.message : text && `an empty body was promised`;
  if (fault) throw new Error(`${name} answered what its row does not promise: ${fault}\n${text.slice(0, 2_000)}`);
  note(name);
}

function note(name: string): void {
  const folder = process.env.PARLEY_TEST_SEEN;
  if (!folder || seen.has(name) || !existsSync(folder)) return;
  seen.add(name);
  writeFileSync(join(folder, name), '');
}
