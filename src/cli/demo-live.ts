import type { Writable } from 'node:stream';
import { type ActionCall, openActionEndpoint } from './action-endpoint.ts';
import { BatchSender, type BatchSending } from './batch-sender.ts';
import {
  type DemoBatch,
  type DemoMessage,
  makePlot,
  messageOf,
  metadataOf,
  type Plot,
  seededRandom,
  whole,
} from './demo-conversations.ts';
import { registerEndpoint } from './endpoint-registration.ts';
import { sentenceOf } from './failure.ts';
import { Stopped } from './retry.ts';
import { clockTime, pause, printable, printLine } from './terminal.ts';

export interface LiveTraffic extends BatchSending {
  out: Writable;
  signal: AbortSignal;
  /** Time between two messages, on average. */
  paceMs: number;
  /** Who writes in the conversations that exist already. */
  batches: DemoBatch[];
  now: () => Date;
}

interface OpenPlot {
  plot: Plot;
  next: number;
}

const mostOpen = 12;

/**
 * Lets people write until the signal is set: new conversations begin, others go on, and what an agent sends comes back
 * as an echo of the contact. Takes over the action endpoint of the source for that time.
 *
 * @returns how many messages were written
 */
export async function liveTraffic(live: LiveTraffic): Promise<number> {
  const { client, access, out, signal, paceMs, now } = live;
  const random = seededRandom(now().getTime());
  const sender = new BatchSender(live);
  const senders = new Map(
    live.batches.flatMap(({ messages }) =>
      messages
        .filter((one) => one.from_contact)
        .map((one) => [one.source_conversation_id, one.source_sender_id] as const),
    ),
  );
  const echoes = new Set<Promise<void>>();
  const runId = now().getTime().toString(36);
  let begun = 0;

  const write = async (message: DemoMessage, metadata?: DemoBatch['metadata']) => {
    const text = JSON.stringify({ messages: [message], ...(metadata && { metadata }) });
    await sender.prepare({ number: sender.tally.lines + 1, text })?.send();
    printLine(out, `${clockTime(now())}  ${message.source_conversation_id}  ${printable(message.content.text)}`);
  };

  const echo = async (call: ActionCall) => {
    const conversation = call.action?.payload.conversation;
    const text = textOf(call.action?.payload.message.content);
    if (!call.isVerified || !call.action || !conversation?.source_channel_id || text === undefined) return;
    await pause(Math.min(1_500, paceMs), signal);
    if (signal.aborted) return;
    const conversationId = conversation.source_conversation_id;
    await write({
      // From the message's own id: a repeated call of the gateway gives the same echo, which it then ignores.
      source_message_id: `demo-echo-${call.action.payload.message.id}`,
      source_conversation_id: conversationId,
      source_channel_id: conversation.source_channel_id,
      source_sender_id: senders.get(conversationId) ?? `demo-contact-of-${conversationId}`,
      content: { text: `You wrote: ${text}` },
      from_contact: true,
      sent_at: now().toISOString(),
    });
  };

  const endpoint = await openActionEndpoint({
    host: '127.0.0.1',
    port: 0,
    keys: () => ({ token: access.token }),
    onCall: (call) => {
      if (!call.isVerified) printLine(out, `NOT VERIFIED: a call whose ${call.doubt}`);
      const task = echo(call)
        .catch((error: unknown) => tell(error, out))
        .finally(() => echoes.delete(task));
      echoes.add(task);
      return { status: 200, body: { source_message_id: `demo-reply-${call.action?.payload.message.id}` } };
    },
  });
  try {
    const registration = await registerEndpoint(client, { sourceId: 'demo', endpoint, out });
    printLine(out, 'Live: people write until Ctrl-C, and answer what you send to them.');
    try {
      const open: OpenPlot[] = [];
      for (;;) {
        await pause(paceMs * (0.4 + random() * 1.2), signal);
        if (signal.aborted) break;
        const isNew = open.length === 0 || (open.length < mostOpen && random() < 0.35);
        if (isNew) {
          begun += 1;
          const plot = makePlot(random, { conversationId: `demo-live-${runId}-${begun}`, person: whole(random, 150) });
          senders.set(plot.conversationId, plot.contactId);
          open.push({ plot, next: 0 });
        }
        const turn = isNew ? open.length - 1 : whole(random, open.length);
        await continuePlot(open, turn, write, now);
      }
    } finally {
      await registration.restore();
    }
    await Promise.all(echoes);
  } catch (error) {
    if (!(error instanceof Stopped)) throw error;
  } finally {
    await endpoint.close();
  }
  return sender.tally.messagesCreated;
}

/** The next thing that the contact says; the agent's part is left to who looks at the inbox. */
async function continuePlot(
  open: OpenPlot[],
  index: number,
  write: (message: DemoMessage, metadata?: DemoBatch['metadata']) => Promise<void>,
  now: () => Date,
): Promise<void> {
  const current = open[index];
  if (!current) return;
  const { plot } = current;
  const turn = plot.turns.findIndex(({ by }, position) => position >= current.next && by === 'contact');
  if (turn < 0) {
    open.splice(index, 1);
    return;
  }
  const message = messageOf(plot, {
    key: String(turn + 1),
    by: 'contact',
    text: plot.turns[turn]!.text,
    sentAt: now(),
  });
  await write(message, current.next === 0 ? metadataOf(plot) : undefined);
  current.next = turn + 1;
}

function textOf(content: unknown): string | undefined {
  if (typeof content === 'string') return content;
  const text = content && typeof content === 'object' && 'text' in content ? content.text : undefined;
  return typeof text === 'string' ? text : undefined;
}

function tell(error: unknown, out: Writable): void {
  if (!(error instanceof Stopped)) printLine(out, `The echo failed: ${sentenceOf(error)}`);
}
