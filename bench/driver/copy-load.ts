import { randomUUID } from 'node:crypto';
import { copyIn } from '../copy-in.ts';
import { withConnection } from '../postgres.ts';
import type { CopyLoad, LoadResult, Phase } from './protocol.ts';
import { textOf } from './scripts.ts';

const columns =
  'id, conversation_id, source, source_message_id, sequence, from_contact, sender_type, sender_id, content, delivery_state, sent_at';

/**
 * Copies messages into the table with its indexes, over one connection, as many rows a transaction as a request of the
 * operation makes durable. (With 10,000 rows a transaction it writes about half as much again.)
 */
export async function copyLoad(
  { databaseUrl, batch: rowsEach, seconds, prefix }: CopyLoad,
  onPhase: (phase: Phase) => void,
): Promise<LoadResult> {
  return withConnection(databaseUrl, async (client) => {
    const found = await client.query<{ id: string; source: string }>('select id, source from conversation limit 10000');
    let made = 0;
    const chunk = (): Buffer => {
      const lines: string[] = [];
      for (let row = 0; row < rowsEach; row += 1) {
        made += 1;
        const { id, source } = found.rows[Math.floor(Math.random() * found.rows.length)]!;
        const name = `${prefix}-${made}`;
        const content = `{"text":"${textOf(name)}"}`;
        lines.push(
          `${randomUUID()}\t${id}\t${source}\t${name}\t${made}\tt\tCONTACT\t${id}\t${content}\tDELIVERED\tnow\n`,
        );
      }
      return Buffer.from(lines.join(''));
    };
    onPhase('begin');
    const deadline = performance.now() + seconds * 1_000;
    // What makes the rows is not what is measured: the clock stands still meanwhile.
    let copiedMs = 0;
    let rows = 0;
    while (performance.now() < deadline) {
      const lines = chunk();
      const startedAt = performance.now();
      await copyIn(client, `copy message (${columns}) from stdin`, [lines]);
      copiedMs += performance.now() - startedAt;
      rows += rowsEach;
    }
    onPhase('end');
    return {
      units: rows,
      worked: rows,
      seconds: copiedMs / 1_000,
      p50Ms: Number.NaN,
      p99Ms: Number.NaN,
      acknowledged: rows,
      faults: 0,
      examples: [],
    };
  });
}
