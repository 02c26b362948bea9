import { z } from 'zod';
import type { Ctx } from '../../context.ts';
import type { Tx } from '../../transaction.ts';
import type { Outcome, Script } from '../expressions/expression.service.ts';

/** A step as a definition holds it; what its own kind adds stands beside. */
export interface Step {
  id: string;
  type: string;
  name?: string;
  /** The step after it; without one the journey is over. */
  next?: string;
}

export interface FlowDefinition {
  /** The first step. */
  start: string;
  steps: Step[];
}

/** Where in a step something stands, such as `['cases', 0, 'when']`. */
export type StepPath = (string | number)[];

/** What a step waits for. The journey's row keeps it: nothing waits in memory. */
export interface Waiting {
  /** The event that ends the wait, and an expression over it that has to be true. */
  event?: { name: string; where?: string };
  /** Where it goes on when the time is over; undefined: with the step's `next`. */
  onTimeout?: string;
}

/** What a step does to the database, beside the journey's own row and in the same transaction. */
export interface Effect {
  /** Conversations and sources that its transaction locks first. */
  conversationIds: string[];
  sources: string[];
  /** What the journey is bound to from then on. */
  binds?: { conversationId: string; contactId: string | null };
  /** @throws StepFailed the journey fails at this step; nothing of the effect stays */
  apply(tx: Tx): Promise<void>;
}

/** What running a step came to. */
export type StepResult =
  | { go: 'next'; vars?: Record<string, unknown>; effect?: Effect }
  /** Undefined: the journey is completed. */
  | { go: 'to'; stepId: string | undefined }
  /** `wakeAt`: when the wait ends by itself. */
  | { go: 'wait'; waiting: Waiting; wakeAt?: Date }
  | { go: 'end'; status: 'COMPLETED' | 'FAILED'; reason?: string };

/** What a step may look at. */
export interface StepEnv {
  journey: { id: string; flowId: string; conversationId: string | null; contactId: string | null };
  vars: Record<string, unknown>;
  /** By the database's clock. */
  now: Date;
  /** Runs scripts over the namespaces of the journey. */
  run(scripts: Script[]): Promise<Outcome[]>;
  /** Whatever else is to be read before the transaction. */
  ctx: Ctx;
}

/** A kind of step: its own fields, what of it can be wrong, and what it does. */
export interface StepKind<Fields = object> {
  type: string;
  /** What it is for, in the published JSON Schema. */
  description: string;
  /** Its fields beside `id`, `type`, `name` and `next`, strict. */
  fields: z.ZodObject;
  /** False: it says itself where it goes on, and takes no `next`. */
  hasNext: boolean;
  /** Expressions and templates of the step, checked when it is saved. */
  scripts(step: Step & Fields): { path: StepPath; script: Script }[];
  /** What its fields say together that they do not say alone. */
  faults?(step: Step & Fields): { path: StepPath; message: string }[];
  /** Steps that it leads to beside `next`. */
  targets(step: Step & Fields): { path: StepPath; stepId: string }[];
  /** @throws StepFailed the journey fails at this step */
  run(step: Step & Fields, env: StepEnv): Promise<StepResult>;
}

const kinds = new Map<string, StepKind>();

/** Registers a kind of step; main.ts calls it once for each. */
export function registerStepKind<Fields>(kind: StepKind<Fields>): void {
  kinds.set(kind.type, kind as unknown as StepKind);
}

/** @returns undefined for an unknown type */
export function stepKindOf(type: string): StepKind | undefined {
  return kinds.get(type);
}

export function allStepKinds(): StepKind[] {
  return [...kinds.values()];
}

/** Ends a journey as FAILED: the text says what was wrong, the runner adds the step. */
export class StepFailed extends Error {
  override readonly name = 'StepFailed';
}

/** The value of a script. @param what how the step's author calls it, such as `where` @throws StepFailed its fault */
export function scriptValue(outcome: Outcome | undefined, what: string): unknown {
  if (outcome?.ok) return outcome.value;
  const position = outcome?.fault.position;
  const place = position === undefined ? '' : ` at position ${position}`;
  throw new StepFailed(`${what}${place}: ${outcome?.fault.message ?? 'gave no value'}`);
}

/** What every step has. */
export const commonFields = {
  id: z
    .string()
    .regex(/^[A-Za-z0-9_-]{1,64}$/, 'must be 1 to 64 letters, digits, _ or -')
    .describe('Unique in the flow; other steps lead to it, and its result stands under `steps.<id>`.'),
  name: z.string().min(1).max(255).optional().describe('What to call it.'),
};

export const stepReference = z.string().min(1).max(64);
export const expressionField = z.string().min(1).max(4_096);
