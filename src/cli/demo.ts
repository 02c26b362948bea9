import { createHash } from 'node:crypto';
import type { Writable } from 'node:stream';
import { BatchSender } from './batch-sender.ts';
import { type DemoBatch, demoBatches, demoConversations, demoDays } from './demo-conversations.ts';
import { liveTraffic } from './demo-live.ts';
import { channels } from './demo-scripts.ts';
import { CliFailure } from './failure.ts';
import { defaultUrl, GatewayClient, type GatewayOptions } from './gateway-client.ts';
import { tellAccess } from './import.ts';
import { retrying, sendAndKeep } from './kept-sending.ts';
import { openProgress, spokenCount } from './progress.ts';
import { openSource } from './source-access.ts';
import { type FileKey, SourceState } from './source-state.ts';
import { parleyCommand, printLine } from './terminal.ts';

export interface DemoOptions extends GatewayOptions {
  live: boolean;
  rotate: boolean;
  isProduction: boolean;
  dataDir: string;
  out: Writable;
  /** Set by Ctrl-C; with `live` that is the ordinary end. */
  signal: AbortSignal;
  /** Time between two live messages, on average. */
  paceMs?: number;
  now?: () => Date;
}

export interface DemoSummary {
  messagesCreated: number;
  duplicates: number;
  /** Messages written by `live`, echoes included. */
  liveMessages: number;
}

const sourceId = 'demo';

/**
 * Fills a gateway with conversations to look at, through its API, as a source named demo. The second run adds nothing:
 * ids never change, and the instant at which the fourteen days end is kept with the token. With `live` new messages go
 * on arriving, and agents' messages are echoed, until the signal is set.
 *
 * @throws CliFailure in production, and as `import` does
 */
export async function writeDemo(options: DemoOptions): Promise<DemoSummary> {
  const { out, signal, isProduction, now = () => new Date() } = options;
  if (isProduction) throw new CliFailure('demo writes invented people and is refused while NODE_ENV=production.');
  const state = await SourceState.load(options.dataDir, sourceId);
  const client = new GatewayClient(options);
  const view = openProgress(out);
  const attempt = retrying(view, signal);
  try {
    const access = await openSource({
      client,
      state,
      source: { source_id: sourceId, name: 'Demo' },
      rotate: options.rotate,
      commandWithRotate: commandOf(options),
      attempt,
    });
    tellAccess(out, sourceId, access, state);
    const demo = state.demo ?? { endsAt: now().toISOString(), isMarkedRead: false };
    await state.keepDemo(demo);
    const batches = demoBatches(new Date(demo.endsAt));
    const lines = batches.map((batch, index) => ({ number: index + 1, text: JSON.stringify(batch) }));
    const key = keyOf(demo.endsAt);
    const { position, isFinished } = state.positionOf(key);

    const sender = new BatchSender({ client, access, attempt, channelName });
    if (isFinished) printLine(out, `The ${demoConversations} conversations of the demo are there already.`);
    else {
      const done = () => position.acknowledged / lines.length;
      const seed = async function* () {
        yield* lines;
      };
      await sendAndKeep({ lines: seed, sender, position, state, key, concurrency: 4, signal, view, done });
      view.end();
      tellSummary(out, sender);
    }
    if (!signal.aborted && !demo.isMarkedRead) {
      await markAnsweredRead(client, batches, attempt);
      await state.keepDemo({ ...demo, isMarkedRead: true });
    }
    const liveMessages =
      options.live && !signal.aborted
        ? await liveTraffic({ client, access, attempt, out, signal, paceMs: options.paceMs ?? 5_000, batches, now })
        : 0;
    const { messagesCreated, duplicates } = sender.tally;
    return { messagesCreated, duplicates, liveMessages };
  } finally {
    view.end();
  }
}

/**
 * The id that the gateway gives to what a source made.
 *
 * @see Airy Source API: uuid5 over source id and the source's own id, joined, without a namespace
 */
export function idOfSource(source: string, ownId: string): string {
  const hash = createHash('sha1')
    .update(source + ownId)
    .digest()
    .subarray(0, 16);
  hash[6] = (hash[6]! & 0x0f) | 0x50;
  hash[8] = (hash[8]! & 0x3f) | 0x80;
  return hash.toString('hex').replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5');
}

/** What an agent answered last has been read by somebody: without this every conversation of the demo is unread. */
async function markAnsweredRead(
  client: GatewayClient,
  batches: DemoBatch[],
  attempt: ReturnType<typeof retrying>,
): Promise<void> {
  for (const { messages } of batches) {
    const last = messages.at(-1);
    if (!last || last.from_contact) continue;
    const conversation = { conversation_id: idOfSource(sourceId, last.source_conversation_id) };
    const answer = await attempt(() => client.call('conversations.read', conversation));
    if (answer.status >= 400) return;
  }
}

function channelName(id: string): string {
  return channels.find((channel) => channel.id === id)?.name ?? id;
}

// Not by the words: another version of them must not be written beside those that are there.
function keyOf(endsAt: string): FileKey {
  return { name: '(demo)', size: demoConversations, sha256: createHash('sha256').update(endsAt).digest('hex') };
}

function tellSummary(out: Writable, { tally }: BatchSender): void {
  const { messagesCreated, duplicates, conversations } = tally;
  printLine(
    out,
    `Wrote ${spokenCount(messagesCreated)} messages in ${conversations.size} conversations over ${demoDays} days` +
      `${duplicates > 0 ? `; ${spokenCount(duplicates)} were there already` : ''}.`,
  );
}

function commandOf({ live, url }: DemoOptions): string {
  const words = ['demo', ...(live ? ['--live'] : []), ...(url === defaultUrl ? [] : ['--url', url])];
  return parleyCommand([...words, '--rotate', '--token', '...']);
}
