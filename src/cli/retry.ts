import { CliFailure, sentenceOf } from './failure.ts';
import { type Answer, refusalOf, Unreachable } from './gateway-client.ts';
import { pause } from './terminal.ts';

const passing = new Set([408, 425, 429, 502, 503, 504]);

/** The signal was set while a call waited for its next try. */
export class Stopped extends Error {}

export interface RetryOptions {
  signal: AbortSignal;
  /** How long one call may keep failing before the command gives up. */
  giveUpAfterMs?: number;
  /** False: nothing has ever answered, so a gateway that cannot be reached is a wrong address, and is told at once. */
  hasAnswered?: () => boolean;
  /** Told before each wait. */
  onWait?: (reason: string, waitMs: number) => void;
}

/**
 * Repeats a call while the gateway is out of reach, busy or without its database: after 0.5 s, doubled up to 30 s and
 * spread by a fifth, or when `Retry-After` says so. Any other answer is returned.
 *
 * @throws Stopped when the signal is set between two tries
 * @throws CliFailure when it goes on failing for longer than `giveUpAfterMs` (5 minutes)
 */
export async function withRetries(
  attempt: () => Promise<Answer>,
  { signal, giveUpAfterMs = 300_000, hasAnswered, onWait }: RetryOptions,
): Promise<Answer> {
  const startedAt = Date.now();
  for (let tries = 0; ; tries += 1) {
    let reason: string;
    let retryAfterMs: number | undefined;
    try {
      const answer = await attempt();
      if (!passing.has(answer.status)) return answer;
      reason = refusalOf(answer);
      retryAfterMs = answer.retryAfterMs;
    } catch (error) {
      if (!(error instanceof Unreachable)) throw error;
      if (hasAnswered?.() === false) {
        throw new CliFailure(`${error.message} Start it with npm start, or say where it is: --url or PARLEY_URL.`);
      }
      reason = sentenceOf(error);
    }
    const waitMs = retryAfterMs ?? Math.min(30_000, 500 * 2 ** Math.min(tries, 10)) * (0.8 + Math.random() * 0.4);
    if (Date.now() - startedAt + waitMs > giveUpAfterMs) throw new CliFailure(`Given up: ${reason}`);
    onWait?.(reason, waitMs);
    await pause(waitMs, signal);
    if (signal.aborted) throw new Stopped('stopped while waiting to try again');
  }
}
