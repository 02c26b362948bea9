import { Unavailable } from '../domain/errors.ts';

/** So many at once are always taken: a slow database alone is no overload. */
const alwaysTaken = 64;
/** So many at once are no overload by their number alone, as when all clients come back together. */
const burst = 100;
/** Who is taken should have the answer in this time; where requests are committed in groups it may be three times as long. */
const answerMs = 300;
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
 * Measures what this process can do instead of being told: many in flight are too many when they are more than were
 * answered of late in 0.3 s, or when they are old on average. A few that wait for a lock do not move the mean.
 */
export function createAdmission(now: () => number = () => performance.now()): Admission {
  let inFlight = 0;
  let sumOfStarts = 0;
  // Answers of this window, and of the one before.
  let windowFrom = now();
  let answered = 0;
  let answeredBefore = 0;

  const turnWindow = (at: number) => {
    const passedMs = at - windowFrom;
    if (passedMs < windowMs) return;
    answeredBefore = passedMs < 2 * windowMs ? answered : 0;
    answered = 0;
    windowFrom = at;
  };
  const isTooMuch = () => {
    if (inFlight < alwaysTaken) return false;
    const at = now();
    turnWindow(at);
    const inTime = (answeredBefore * answerMs) / windowMs;
    // Of a queue that moves, the mean age is half of the wait.
    return inFlight >= Math.max(burst, inTime) || at - sumOfStarts / inFlight >= answerMs / 2;
  };

  return {
    check() {
      if (isTooMuch())
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
        // Differences of floating numbers would add up.
        sumOfStarts = inFlight === 0 ? 0 : sumOfStarts - startedAt;
      };
    },
  };
}
