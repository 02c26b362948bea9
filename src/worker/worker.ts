import type { Core } from '../domain/context.ts';
import { type Claim, claimLanes, workLane } from '../domain/jobs.ts';
import { inSpan } from '../domain/tracing.ts';

export interface Worker {
  /** Claims no more and waits for the lanes in work, 9 s at most: what goes on after that runs again by its lease. */
  stop(): Promise<void>;
}

/** Lanes in work at once in this process, and all together with those that waited for `slowAfterMs`. */
const mostAtOnce = 64;
const mostWithSlow = 256;
/** Who takes longer waits for somebody outside: calls that hang must not take the places of all others. */
const slowAfterMs = 200;
/** A few sizes only: each is a statement of its own. */
const claimSizes = [16, 4, 1];
const pollMs = 1_000;
const soonMs = 2;
const stopMs = 9_000;

/**
 * Claims due lanes and works them: on a hint, when the next one is due, and once a second in any case. One claim loop
 * per process; a lane's own faults never end it.
 */
export function startWorker(core: Core): Worker {
  const alarm = createAlarm();
  const unlisten = core.wakeups.onHint('lane', alarm.ring);
  const running = new Set<Promise<void>>();
  const quick = new Set<Promise<void>>();
  let stopped = false;
  // There may be more than was claimed: for want of room here, or because groups are at their limit.
  let isLimited = false;

  const start = (lanes: Claim['lanes'], claimedAt: number) => {
    for (const lane of lanes) {
      const work = inSpan(`lane ${lane.kind}`, {}, () => workLane(core, lane, claimedAt)).catch((error: unknown) => {
        // The database is away: the lease ends by itself and the lane runs again.
        core.log.warn({ err: error, kind: lane.kind, lane: lane.id }, 'the result of a lane could not be written');
      });
      running.add(work);
      quick.add(work);
      const leaveQuick = () => {
        quick.delete(work);
        if (isLimited) alarm.ringSoon();
      };
      const slow = setTimeout(leaveQuick, slowAfterMs);
      void work.finally(() => {
        clearTimeout(slow);
        running.delete(work);
        leaveQuick();
      });
    }
  };

  async function loop(): Promise<void> {
    // Only after an unbounded claim found nothing, and nobody behind, may the next ones leave out what is long due.
    let emptyAt = Number.NEGATIVE_INFINITY;
    let isAway = false;
    while (!stopped) {
      const places = Math.min(mostAtOnce - quick.size, mostWithSlow - running.size);
      const room = claimSizes.find((size) => size <= places);
      isLimited = room === undefined;
      if (room === undefined) {
        await alarm.wait(pollMs);
        continue;
      }
      const claimedAt = performance.now();
      // What ends while the claim is on its way makes room that the claim does not see.
      isLimited = true;
      try {
        const bounded = claimedAt - emptyAt < pollMs;
        const { lanes, nextInMs, isBehind } = await claimLanes(core, room, bounded);
        isLimited = isBehind;
        if (isBehind || (lanes.length > 0 && !bounded)) emptyAt = Number.NEGATIVE_INFINITY;
        else if (!bounded) emptyAt = claimedAt;
        start(lanes, claimedAt);
        if (isAway) core.log.info('the worker reaches the database again');
        isAway = false;
        if (lanes.length === 0) await alarm.wait(Math.min(pollMs, nextInMs ?? pollMs));
      } catch (error) {
        if (!isAway) core.log.warn({ err: error }, 'the worker does not reach the database, it goes on trying');
        isAway = true;
        await alarm.wait(pollMs);
      }
    }
  }

  const looping = loop();
  return {
    async stop() {
      stopped = true;
      unlisten();
      alarm.ring();
      await looping;
      await Promise.race([Promise.all(running), new Promise((resolve) => setTimeout(resolve, stopMs).unref())]);
    },
  };
}

/** Waits until it rings or the time is over; a ring while nobody waits ends the next wait at once. */
function createAlarm() {
  let isRinging = false;
  let awake: (() => void) | undefined;
  let ringsSoon = false;
  return {
    ring() {
      isRinging = true;
      awake?.();
    },
    /** Those that end together make room together. */
    ringSoon() {
      if (ringsSoon) return;
      ringsSoon = true;
      setTimeout(() => {
        ringsSoon = false;
        this.ring();
      }, soonMs);
    },
    async wait(ms: number) {
      if (!isRinging) {
        await new Promise<void>((resolve) => {
          const timer = setTimeout(resolve, ms);
          awake = () => {
            clearTimeout(timer);
            resolve();
          };
        });
      }
      awake = undefined;
      isRinging = false;
    },
  };
}
