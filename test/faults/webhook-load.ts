import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll } from '@jest/globals';
import type { Ground } from './gateway-process.ts';

const program = fileURLToPath(new URL('./webhook-driver.js', import.meta.url));

export interface LoadOptions {
  /** Gateways, taken in turn; a batch that failed goes to the next one. */
  urls: string[];
  ground: Ground;
  writers?: number;
  /** Batches. */
  perSecond?: number;
  /** Messages of a batch. */
  perBatch?: number;
  conversations?: number;
  /** After the stop, how long batches may go on being tried. */
  giveUpMs?: number;
  /** How long a try waits for its answer. */
  timeoutMs?: number;
  seed?: number;
}

const running = new Set<ChildProcess>();
process.once('exit', () => {
  for (const child of running) child.kill('SIGKILL');
});
const folders = new Set<string>();
afterAll(() => {
  for (const child of running) child.kill('SIGKILL');
  for (const folder of folders) rmSync(folder, { recursive: true, force: true });
});

/** Webhook load from a process of its own, with its ledger. */
export class WebhookLoad {
  readonly ledgerFile: string;
  /** Tries that began, and batches that were acknowledged, so far. */
  sends = 0;
  acks = 0;
  readonly #child: ChildProcess;
  readonly #ended: Promise<unknown>;
  readonly #waiting = new Set<() => void>();

  constructor({ ground, ...options }: LoadOptions) {
    const folder = mkdtempSync(join(tmpdir(), 'parley-ledger-'));
    folders.add(folder);
    this.ledgerFile = join(folder, 'ledger.jsonl');
    const { source, sourceChannelId } = ground;
    const settings = { ...options, token: source.token, channel: sourceChannelId, ledger: this.ledgerFile };
    // Not the flags of jest: the writer is a plain program.
    this.#child = fork(program, [JSON.stringify(settings)], { execArgv: [] });
    running.add(this.#child);
    this.#child.on('message', ({ sends, acks }: { sends: number; acks: number }) => {
      this.sends = sends;
      this.acks = acks;
      for (const look of this.#waiting) look();
    });
    this.#ended = once(this.#child, 'exit').then(() => {
      running.delete(this.#child);
      for (const look of this.#waiting) look();
    });
  }

  /** Resolves in the moment in which `isReached` first holds. */
  reached(isReached: (load: WebhookLoad) => boolean): Promise<void> {
    return new Promise((resolve, reject) => {
      const look = () => {
        const isGone = !running.has(this.#child);
        if (!isReached(this) && !isGone) return;
        this.#waiting.delete(look);
        if (isReached(this)) resolve();
        else reject(new Error('the load ended before'));
      };
      this.#waiting.add(look);
      look();
    });
  }

  /** No new batches; resolves with the ledger when the open ones are acknowledged or given up. */
  async stop(): Promise<Ledger> {
    if (running.has(this.#child)) this.#child.send('stop');
    await this.#ended;
    return readLedger(this.ledgerFile);
  }
}

export interface SentMessage {
  sourceMessageId: string;
  sourceConversationId: string;
  fromContact: boolean;
  sentAt: number;
  text: string;
}

export interface SentBatch {
  messages: SentMessage[];
  /** Wall clock, ms, before the first try. */
  sentAt: number;
  isAcked: boolean;
  /** Wall clock, ms, of the answer. */
  ackedAt: number | undefined;
}

/** A try that was not acknowledged. */
export interface Refusal {
  /** 0 is no answer. */
  status: number;
  /** From the send to the answer. */
  ms: number;
  /** Wall clock, ms, of the answer. */
  at: number;
  /** As the header has it. */
  retryAfter: string | undefined;
}

/** What the writer knows. */
export interface Ledger {
  batches: SentBatch[];
  /** Of each acknowledged try, ms, ascending. */
  latencies: number[];
  /** How many tries ended with a status; 0 is no answer. */
  refusals: Map<number, number>;
  refused: Refusal[];
}

type Line = { at: number; b: number } & (
  | { k: 'send'; m: [string, string, 0 | 1, number, string][] }
  | { k: 'ack'; ms: number; items: number }
  | { k: 'no'; s: number; ms: number; w?: string }
  | { k: 'again' | 'end' }
);

function readLedger(file: string): Ledger {
  const batches = new Map<number, SentBatch>();
  const latencies: number[] = [];
  const refusals = new Map<number, number>();
  const refused: Refusal[] = [];
  const lines = readFileSync(file, 'utf8').split('\n');
  // What stands after the last line end was cut off with its writer.
  for (const text of lines.slice(0, -1)) {
    const line = JSON.parse(text) as Line;
    if (line.k === 'send') {
      const messages = line.m.map(([sourceMessageId, sourceConversationId, contact, sentAt, content]) => ({
        sourceMessageId,
        sourceConversationId,
        fromContact: contact === 1,
        sentAt,
        text: content,
      }));
      batches.set(line.b, { messages, sentAt: line.at, isAcked: false, ackedAt: undefined });
    } else if (line.k === 'ack') {
      const batch = batches.get(line.b);
      if (batch?.messages.length !== line.items)
        throw new Error(`batch ${line.b} was answered with ${line.items} items`);
      batch.isAcked = true;
      batch.ackedAt = line.at;
      latencies.push(line.ms);
    } else if (line.k === 'no') {
      refusals.set(line.s, (refusals.get(line.s) ?? 0) + 1);
      refused.push({ status: line.s, ms: line.ms, at: line.at, retryAfter: line.w });
    }
  }
  return { batches: [...batches.values()], latencies: latencies.sort((a, b) => a - b), refusals, refused };
}

/** The value that the given part of a sorted list lies below; NaN of none. */
export function percentile(sorted: readonly number[], part: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))] ?? Number.NaN;
}
