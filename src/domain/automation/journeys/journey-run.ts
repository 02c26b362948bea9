import type { Ctx } from '../../context.ts';
import { oversizedJson } from '../../text.ts';
import { runScripts, type Script } from '../expressions/expression.service.ts';
import {
  type Effect,
  type Step,
  type StepEnv,
  StepFailed,
  type StepResult,
  scriptValue,
  stepKindOf,
} from '../flows/steps.service.ts';
import { type JourneyState, mostEvents, type PendingEvent } from './journey-rows.ts';

/** Steps without a wait between them; a loop that has run so many fails. */
const mostSteps = 1_000;
/** What one transaction writes of: a journey that goes on queues behind others. */
const sliceSteps = 100;
const sliceMs = 1_000;

/** What of a journey a slice changes. */
export type Course = Pick<
  JourneyState,
  'stepId' | 'waiting' | 'wakeAt' | 'vars' | 'event' | 'steps' | 'stepsRun' | 'lookedAt'
>;

/** What running some steps of a journey came to; nothing of it is written yet. */
export interface Slice {
  course: Course;
  /** Events up to here have been taken, or are old. */
  consumedUpTo: number;
  ended?: { status: 'COMPLETED' | 'FAILED'; reason: string | null };
  /** It belongs to the last step that ran. */
  effect?: Effect;
  /** The same without that step, for when its effect fails. */
  withoutEffect?: Omit<Slice, 'effect' | 'withoutEffect'>;
  /** There are steps to run at once. */
  goesOn: boolean;
}

/**
 * Runs the steps of a journey until one waits, acts on the database, or the slice is full. It only computes: expressions may
 * take their time without a lock being held, and whoever writes the slice checks that the journey has not moved meanwhile.
 */
export async function runSlice(ctx: Ctx, state: JourneyState): Promise<Slice> {
  return new SliceRun(ctx, state).run();
}

class SliceRun {
  readonly #ctx: Ctx;
  readonly #state: JourneyState;
  readonly #byId: Map<string, Step>;
  readonly #endsAt = performance.now() + sliceMs;
  #course: Course;
  #events: PendingEvent[];
  #consumedUpTo = 0;
  #ended: Slice['ended'];
  #effect: Effect | undefined;
  #before: Slice['withoutEffect'];
  /** There may be more events than were looked at. */
  #readsAgain = false;

  constructor(ctx: Ctx, state: JourneyState) {
    this.#ctx = ctx;
    this.#state = state;
    this.#byId = new Map(state.definition.steps.map((step) => [step.id, step]));
    const { stepId, waiting, wakeAt, vars, event, steps, stepsRun, lookedAt } = state;
    this.#course = { stepId, waiting, wakeAt, vars, event, steps, stepsRun, lookedAt };
    this.#events = state.events;
  }

  async run(): Promise<Slice> {
    let isWaiting = false;
    for (let count = 0; count < sliceSteps && !this.#ended && !this.#effect && !isWaiting; count += 1) {
      if (performance.now() > this.#endsAt) break;
      isWaiting = await this.#guarded(() => (this.#course.waiting ? this.#lookAtEvents() : this.#step()));
    }
    const goesOn = !this.#ended && (!isWaiting || this.#readsAgain);
    return { ...this.#told(), effect: this.#effect, withoutEffect: this.#before, goesOn };
  }

  #told(): Omit<Slice, 'goesOn' | 'effect' | 'withoutEffect'> {
    return { course: this.#course, consumedUpTo: this.#consumedUpTo, ended: this.#ended };
  }

  // A step's fault is the journey's end; all else (the database is away) is not.
  async #guarded(work: () => Promise<boolean>): Promise<boolean> {
    try {
      return await work();
    } catch (error) {
      if (!(error instanceof StepFailed)) throw error;
      this.#ended = failure(this.#course.stepId, error);
      return false;
    }
  }

  /** @returns whether it waits */
  async #step(): Promise<boolean> {
    const { stepId, stepsRun } = this.#course;
    if (stepsRun >= mostSteps) throw new StepFailed(`${mostSteps} steps were run without a wait`);
    const step = this.#byId.get(stepId);
    const kind = step && stepKindOf(step.type);
    if (!step || !kind) throw new StepFailed(`the type "${step?.type}" is not known any more`);
    const before = { ...this.#told(), goesOn: false };
    const result = await kind.run(step, this.#env(this.#course.event));
    this.#course = { ...this.#course, stepsRun: stepsRun + 1 };
    if (result.go === 'next' && result.effect) {
      this.#before = before;
      this.#effect = result.effect;
    }
    return this.#take(step, result);
  }

  #take(step: Step, result: StepResult): boolean {
    switch (result.go) {
      case 'next': {
        if (result.vars) {
          const vars = { ...this.#course.vars, ...result.vars };
          const unfit = oversizedJson(vars);
          if (unfit) throw new StepFailed(`vars: together they ${unfit}`);
          this.#course = { ...this.#course, vars };
        }
        this.#goTo(step.next);
        return false;
      }
      case 'to':
        this.#goTo(result.stepId);
        return false;
      case 'end':
        this.#ended = { status: result.status, reason: result.reason ?? null };
        return false;
      case 'wait': {
        const { waiting, wakeAt = null } = result;
        const isOver = !waiting.event && wakeAt !== null && wakeAt <= this.#state.now;
        // No wait at all: a loop over an instant that is past must come to its end.
        if (isOver) this.#endWait(this.#state.nextEvent - 1, this.#course.event, waiting.onTimeout ?? step.next);
        // What came since the wait before ended is heard; what is older has been consumed with that.
        else this.#course = { ...this.#course, waiting, wakeAt, lookedAt: 0 };
        return false;
      }
    }
  }

  #goTo(stepId: string | undefined): void {
    if (stepId === undefined) this.#ended = { status: 'COMPLETED', reason: null };
    else this.#course = { ...this.#course, stepId };
  }

  /** @returns whether it goes on waiting */
  async #lookAtEvents(): Promise<boolean> {
    const { waiting, wakeAt } = this.#course;
    const { event } = waiting!;
    if (event) {
      for (const pending of this.#events) {
        if (pending.seq <= this.#course.lookedAt) continue;
        if (performance.now() > this.#endsAt) {
          this.#readsAgain = true;
          return true;
        }
        if (await this.#isMeant(event, pending)) {
          this.#course.stepsRun = 0;
          this.#endWait(pending.seq, pending.payload, this.#byId.get(this.#course.stepId)?.next);
          return false;
        }
        this.#course = { ...this.#course, lookedAt: pending.seq };
      }
      // There may be more behind those that were read: time is looked at after all of them.
      if (this.#state.events.length === mostEvents) {
        this.#readsAgain = true;
        return true;
      }
    }
    if (wakeAt === null || wakeAt > this.#state.now) return true;
    this.#course.stepsRun = 0;
    const { onTimeout } = waiting!;
    const kept = event ? null : this.#course.event;
    this.#endWait(this.#state.nextEvent - 1, kept, onTimeout ?? this.#byId.get(this.#course.stepId)?.next);
    return false;
  }

  async #isMeant({ name, where }: { name: string; where?: string }, pending: PendingEvent): Promise<boolean> {
    if (pending.name !== name) return false;
    if (where === undefined) return true;
    const [outcome] = await this.#env(pending.payload).run([{ kind: 'expression', source: where }]);
    return scriptValue(outcome, 'where') === true;
  }

  #endWait(consumedUpTo: number, event: unknown, next: string | undefined): void {
    this.#consumedUpTo = Math.max(this.#consumedUpTo, consumedUpTo);
    this.#events = this.#events.filter(({ seq }) => seq > this.#consumedUpTo);
    this.#course = { ...this.#course, waiting: null, wakeAt: null, lookedAt: 0, event };
    this.#goTo(next);
  }

  #env(event: unknown): StepEnv {
    const { id, flowId, conversationId, contactId, contact, conversation, start, startedAt, now } = this.#state;
    const { vars, steps } = this.#course;
    const bindings = {
      contact,
      conversation,
      journey: { id, vars, startedAt },
      session: { start },
      event: event ?? null,
      steps,
    };
    return {
      ctx: this.#ctx,
      journey: { id, flowId, conversationId, contactId },
      vars,
      now,
      run: async (scripts) => (scripts.every(isPlain) ? scripts.map(plainValue) : runScripts(scripts, bindings)),
    };
  }
}

// A text without a mark of Liquid is what it says.
function isPlain(script: Script): script is Script & { kind: 'template'; source: string } {
  return script.kind === 'template' && typeof script.source === 'string' && !/\{[{%]/.test(script.source);
}

const plainValue = ({ source }: Script) => ({ ok: true, value: source }) as const;

/** How a journey ends that a step's fault ends. */
export function failure(stepId: string, fault: StepFailed): NonNullable<Slice['ended']> {
  return { status: 'FAILED', reason: `step ${stepId}: ${fault.message}`.slice(0, 2_048) };
}
