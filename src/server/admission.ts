import { Unavailable } from '../domain/errors.ts';

/** So many at once are always taken: a slow database alone is no overload. */
const alwaysTaken = 64;
/** So many at once are no crowd by their number alone. */
const noCrowd = 100;
/** Nor are those that are answered in this time; where requests are committed in groups it may be three times as long. */
const answerMs = 200;
/** A crowd is taken for so long and up to this number: all clients come back together, and it is over. */
const patienceMs = 1_000;
const burst = 256;
/** After a refusal there is no patience for so long. */
const strictMs = 5_000;
const retryAfterMs = 1_000;
const windowMs = 1_000;

/** The door of a process: what cannot be answered soon is refused at once, before it costs anything. */
export interface Admission {
  /** To be asked before a request is read. @throws Unavailable */
  check(): void;
  /** Counts a request that was read whole, until the returned function is called. */
  enter(): () => void;
}

/**
 * Measures what this process can do instead of being told: those in flight are a crowd when they are more than were
 * answered of late in 0.2 s, or when they are old on average. A few that wait for a lock do not move the mean.
 */
export function createAdmission(now: () => number = () => performance.now()): Admission {
  let inFlight = 0;
  let sumOfStarts = 0;
  // Answers of this window, and of the one before.
  let windowFrom = now();
  let answered = 0;
  let answeredBefore = 0;
  let crowdedSince: number | undefined;
  let strictUntil = Number.NEGATIVE_INFINITY;

  const turnWindow = (at: number) => {
    const passedMs = at - windowFrom;
    if (passedMs < windowMs) return;
    answeredBefore = passedMs < 2 * windowMs ? answered : 0;
    answered = 0;
    windowFrom = at;
  };
  const inTime = () => (answeredBefore * answerMs) / windowMs;
  // Of a queue that moves, the mean age is half of the wait.
  const isCrowd = (at: number) =>
    inFlight >= alwaysTaken && (inFlight >= Math.max(noCrowd, inTime()) || at - sumOfStarts / inFlight >= answerMs / 2);

  return {
    check() {
      const at = now();
      turnWindow(at);
      if (!isCrowd(at)) {
        crowdedSince = undefined;
        return;
      }
      crowdedSince ??= at;
      const isPassing = at - crowdedSince < patienceMs && inFlight < Math.max(burst, inTime());
      if (isPassing && at >= strictUntil) return;
      strictUntil = at + strictMs;
      throw new Unavailable('too much arrives at the moment, send it again a little later', retryAfterMs);
    },
    enter() {
      const startedAt = now();
      inFlight += 1;
      sumOfStarts += startedAt;
      return () => {
        turnWindow(now());
        answered += 1;
        inFlight -= 1;
        if (inFlight < alwaysTaken) crowdedSince = undefined;
        // Differences of floating numbers would add up.
        sumOfStarts = inFlight === 0 ? 0 : sumOfStarts - startedAt;
      };
    },
  };
}
