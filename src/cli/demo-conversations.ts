import { agents, channels, firstNames, lastNames, type Script, scripts, slots } from './demo-scripts.ts';

/** Numbers from 0 to below 1, always the same ones for a seed. */
export type Random = () => number;

/** mulberry32: small and even enough for choosing words. */
export function seededRandom(seed: number): Random {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}

/** A body of sources.webhook. */
export interface DemoBatch {
  messages: DemoMessage[];
  metadata?: { namespace: 'conversation'; source_id: string; metadata: Record<string, unknown> }[];
}

export interface DemoMessage {
  source_message_id: string;
  source_conversation_id: string;
  source_channel_id: string;
  source_sender_id: string;
  content: { text: string };
  from_contact: boolean;
  sent_at: string;
}

/** A person of the demo, its conversation and how that goes on. */
export interface Plot {
  conversationId: string;
  channelId: string;
  contactId: string;
  displayName: string;
  topic: string;
  turns: { by: 'contact' | 'agent'; text: string }[];
  agentId: string;
}

const minuteMs = 60_000;
const dayMs = 86_400_000;
export const demoDays = 14;
export const demoConversations = 200;
const people = 150;

/**
 * Two hundred conversations over the fourteen days before `endsAt`, one body each, the earliest first. Words and ids
 * depend on nothing, times on `endsAt` only: the same instant gives the same bytes.
 */
export function demoBatches(endsAt: Date): DemoBatch[] {
  const random = seededRandom(20_200_512);
  const told = Array.from({ length: demoConversations }, (_, index) => {
    const plot = makePlot(random, {
      conversationId: `demo-${index + 1}`,
      person: index < people ? index : whole(random, people),
    });
    // Most conversations come to their end; the others wait for somebody.
    const turns = random() < 0.6 ? plot.turns.length : 1 + whole(random, plot.turns.length);
    return {
      plot: { ...plot, turns: plot.turns.slice(0, turns) },
      random: seededRandom(index + 1),
      isRecent: index % 25 === 0,
    };
  });
  return told
    .map(({ plot, random: own, isRecent }) =>
      batchOf(plot, timesOf(own, { count: plot.turns.length, endsAt, isRecent })),
    )
    .sort((a, b) => (firstTime(a) < firstTime(b) ? -1 : 1));
}

/** Who writes, where and about what, drawn from the scripts. */
export function makePlot(random: Random, { conversationId, person }: { conversationId: string; person: number }): Plot {
  const nameOf = seededRandom(person + 7_000);
  const first = pick(nameOf, firstNames);
  const displayName = `${first} ${pick(nameOf, lastNames)}`;
  const script: Script = pick(random, scripts);
  const agent = pick(random, agents);
  const words: Record<string, string> = { first, agent, order: `HP-${48_000 + whole(random, 9_000)}` };
  for (const [slot, values] of Object.entries(slots)) words[slot] = pick(random, values);
  return {
    conversationId,
    channelId: pick(random, channels).id,
    contactId: `demo-contact-${person + 1}`,
    displayName,
    topic: script.topic,
    turns: script.turns.map(({ by, says }) => ({ by, text: filled(pick(random, says), words) })),
    agentId: `demo-agent-${agent.toLowerCase()}`,
  };
}

/** One message of a plot; `key` makes its id and must differ within the conversation. */
export function messageOf(
  plot: Plot,
  { key, by, text, sentAt }: { key: string; by: 'contact' | 'agent'; text: string; sentAt: Date },
): DemoMessage {
  return {
    source_message_id: `${plot.conversationId}-${key}`,
    source_conversation_id: plot.conversationId,
    source_channel_id: plot.channelId,
    source_sender_id: by === 'contact' ? plot.contactId : plot.agentId,
    content: { text },
    from_contact: by === 'contact',
    sent_at: sentAt.toISOString(),
  };
}

/** Name of the contact and topic, as the conversation's metadata. */
export function metadataOf(plot: Plot): NonNullable<DemoBatch['metadata']> {
  const metadata = { contact: { display_name: plot.displayName }, demo: { topic: plot.topic } };
  return [{ namespace: 'conversation', source_id: plot.conversationId, metadata }];
}

function batchOf(plot: Plot, times: Date[]): DemoBatch {
  const messages = plot.turns.map((turn, index) =>
    messageOf(plot, { ...turn, key: String(index + 1), sentAt: times[index]! }),
  );
  return { messages, metadata: metadataOf(plot) };
}

interface When {
  count: number;
  endsAt: Date;
  /** Within the last three hours, so that there is something fresh to look at. */
  isRecent: boolean;
}

function timesOf(random: Random, { count, endsAt, isRecent }: When): Date[] {
  const gaps = Array.from(
    { length: count },
    () => (random() < 0.1 ? 60 + whole(random, 120) : 1 + whole(random, 9)) * minuteMs,
  );
  const offsets = gaps.map(
    (_, index) => gaps.slice(1, index + 1).reduce((sum, gap) => sum + gap, 0) + whole(random, 50) * 1000,
  );
  const lengthMs = Math.max(...offsets);
  const end = endsAt.getTime();
  const earliest = end - demoDays * dayMs;
  let start = isRecent ? end - random() * 180 * minuteMs : startInTheDay(random, end);
  start = Math.max(earliest, Math.min(start, end - lengthMs - minuteMs));
  const times = offsets.map((offset) => start + offset);
  return times.sort((a, b) => a - b).map((time) => new Date(time));
}

/** Between 7 and 21 o'clock UTC of one of the days. */
function startInTheDay(random: Random, end: number): number {
  const midnight = Math.floor(end / dayMs) * dayMs;
  const start = midnight - whole(random, demoDays) * dayMs + 7 * 60 * minuteMs + whole(random, 14 * 60) * minuteMs;
  return start < end ? start : start - dayMs;
}

export function pick<T>(random: Random, values: readonly T[]): T {
  return values[whole(random, values.length)]!;
}

/** A whole number from 0 to below `below`. */
export function whole(random: Random, below: number): number {
  return Math.floor(random() * below);
}

function filled(text: string, words: Record<string, string>): string {
  return text.replace(/\{(\w+)\}/g, (slot, name: string) => words[name] ?? slot);
}

function firstTime(batch: DemoBatch): string {
  return batch.messages[0]?.sent_at ?? '';
}
