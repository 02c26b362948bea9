import type { BatchSender, Tally } from './batch-sender.ts';
import type { GatewayClient } from './gateway-client.ts';
import type { Line } from './line-reader.ts';
import { sendLines } from './line-sender.ts';
import type { Position } from './position.ts';
import { type ProgressView, spokenDuration } from './progress.ts';
import { withRetries } from './retry.ts';
import type { FileKey, SourceState } from './source-state.ts';

export interface KeptSending {
  lines: (signal: AbortSignal) => AsyncIterable<Line>;
  sender: BatchSender;
  position: Position;
  state: SourceState;
  /** Undefined: no position is kept. */
  key: FileKey | undefined;
  concurrency: number;
  signal: AbortSignal;
  view: ProgressView;
  /** 0 to 1; undefined when the end is not known. */
  done: () => number | undefined;
}

/**
 * Sends lines and keeps how far they are: at most once a second and at the end, however it ends. A kill in between costs
 * a second of repeats, which add nothing.
 *
 * @returns how many lines were skipped because an earlier run had sent them
 * @throws the first fault, or CliFailure when the position cannot be written
 */
export async function sendAndKeep(sending: KeptSending): Promise<number> {
  const { sender, position, signal, view, state, key } = sending;
  let skipped = 0;
  let timer: NodeJS.Timeout | undefined;
  const save = async (isFinished: boolean) => {
    if (key) await state.keepPosition(key, { isFinished });
  };
  const saveSoon = () => {
    timer ??= setTimeout(() => {
      timer = undefined;
      // What goes wrong here goes wrong again at the end, and is told then.
      save(false).catch(() => undefined);
    }, 1000);
  };
  try {
    await sendLines({
      lines: sending.lines,
      position,
      concurrency: sending.concurrency,
      signal,
      prepare: (line) => sender.prepare(line),
      onSkipped: () => {
        skipped += 1;
      },
      onAcknowledged: () => {
        saveSoon();
        const done = sending.done();
        const messages = messagesOf(sender.tally);
        view.update({ lines: sender.tally.lines, messages, ...(done !== undefined && { done }) });
      },
    });
  } catch (error) {
    clearTimeout(timer);
    await save(false);
    throw error;
  }
  clearTimeout(timer);
  await save(!signal.aborted);
  return skipped;
}

/** Repeats calls that may be repeated, and says so once in a while. */
export function retrying(view: Pick<ProgressView, 'note'>, signal: AbortSignal) {
  let quietUntil = 0;
  let hasAnswered = false;
  const noted = async (call: () => ReturnType<GatewayClient['call']>) => {
    const answer = await call();
    hasAnswered = true;
    return answer;
  };
  return (call: () => ReturnType<GatewayClient['call']>) =>
    withRetries(() => noted(call), {
      signal,
      hasAnswered: () => hasAnswered,
      onWait: (reason, waitMs) => {
        if (Date.now() < quietUntil) return;
        quietUntil = Date.now() + 5_000;
        view.note(`Waiting ${spokenDuration(Math.max(waitMs, 1000))}: ${reason}`);
      },
    });
}

function messagesOf({ messagesCreated, duplicates }: Tally): number {
  return messagesCreated + duplicates;
}
