import { DateTime, Duration } from 'luxon';
import { z } from 'zod';
import {
  expressionField,
  StepFailed,
  type StepKind,
  type StepPath,
  scriptValue,
  stepReference,
} from './steps.service.ts';

const longestMs = 10 * 366 * 86_400_000;

function durationOf(text: string): Duration | undefined {
  const duration = Duration.fromISO(text);
  return duration.isValid && duration.toMillis() >= 1_000 && duration.toMillis() <= longestMs ? duration : undefined;
}

const durationField = z
  .string()
  .refine((text) => durationOf(text) !== undefined, 'must be an ISO 8601 duration from PT1S to P10Y, such as P2D');

const fields = z.strictObject({
  for: z.enum(['event', 'duration', 'until']).describe('What it waits for.'),
  name: z
    .string()
    .min(1)
    .max(255)
    .optional()
    .describe('event: its name, such as message.received. Else what to call the step.'),
  where: expressionField.optional().describe('event: an expression over it that has to be true.'),
  timeout: durationField.optional().describe('event: how long at most, such as P2D.'),
  onTimeout: stepReference.optional().describe('event: where it goes on when that is over; without it at next.'),
  duration: durationField.optional().describe('duration: how long, such as PT10M.'),
  until: expressionField.optional().describe('until: an expression that gives an instant: ISO 8601 or epoch ms.'),
});

type Fields = z.infer<typeof fields>;

const allowed = { event: ['where', 'timeout', 'onTimeout'], duration: ['duration'], until: ['until'] } as const;
const needed = { event: 'name', duration: 'duration', until: 'until' } as const;
const special = ['where', 'timeout', 'onTimeout', 'duration', 'until'] as const;

/**
 * Waits for an event, some time or an instant. `name` is the event's where it waits for one, as the contract has it.
 *
 * @see contracts, "Steps of a flow"
 */
export const waitStep: StepKind<Fields> = {
  type: 'wait',
  description: 'Waits for an event, for some time, or until an instant.',
  fields,
  hasNext: true,
  scripts: ({ where, until }) => [
    ...(where === undefined
      ? []
      : [{ path: ['where'], script: { kind: 'expression', source: where } } satisfies PlacedExpression]),
    ...(until === undefined
      ? []
      : [{ path: ['until'], script: { kind: 'expression', source: until } } satisfies PlacedExpression]),
  ],
  targets: ({ onTimeout }) => (onTimeout === undefined ? [] : [{ path: ['onTimeout'], stepId: onTimeout }]),
  faults(step) {
    const own: readonly string[] = allowed[step.for];
    const faults = special
      .filter((field) => step[field] !== undefined && !own.includes(field))
      .map((field): { path: StepPath; message: string } => ({
        path: [field],
        message: `does not belong to a wait for ${step.for}`,
      }));
    const field = needed[step.for];
    if (step[field] === undefined) faults.push({ path: [field], message: `a wait for ${step.for} needs it` });
    if (step.onTimeout !== undefined && step.timeout === undefined) {
      faults.push({ path: ['timeout'], message: 'onTimeout needs it' });
    }
    return faults;
  },
  async run(step, { now, run }) {
    const after = (text: string | undefined) =>
      text && DateTime.fromJSDate(now, { zone: 'utc' }).plus(durationOf(text)!);
    if (step.for === 'event') {
      const event = { name: step.name!, ...(step.where !== undefined && { where: step.where }) };
      const wakeAt = after(step.timeout);
      const waiting = { event, ...(step.onTimeout !== undefined && { onTimeout: step.onTimeout }) };
      return { go: 'wait', waiting, ...(wakeAt && { wakeAt: wakeAt.toJSDate() }) };
    }
    if (step.for === 'duration')
      return { go: 'wait', waiting: {}, wakeAt: (after(step.duration) as DateTime).toJSDate() };
    const [outcome] = await run([{ kind: 'expression', source: step.until! }]);
    return { go: 'wait', waiting: {}, wakeAt: instantOf(scriptValue(outcome, 'until')) };
  },
};

interface PlacedExpression {
  path: string[];
  script: { kind: 'expression'; source: string };
}

function instantOf(value: unknown): Date {
  const instant =
    typeof value === 'number'
      ? DateTime.fromMillis(value, { zone: 'utc' })
      : DateTime.fromISO(typeof value === 'string' ? value : '', { zone: 'utc' });
  if (!instant.isValid || instant.year < 1970 || instant.year > 9999) {
    throw new StepFailed(`until: must give an instant, ISO 8601 or epoch milliseconds, got ${JSON.stringify(value)}`);
  }
  return instant.toJSDate();
}
