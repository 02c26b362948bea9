import { z } from 'zod';
import { expressionField, type StepKind, scriptValue, stepReference } from './steps.service.ts';

const fields = z.strictObject({
  cases: z
    .array(
      z.strictObject({
        when: expressionField.describe('An expression that has to be true.'),
        next: stepReference.describe('Where it goes on then.'),
      }),
    )
    .min(1)
    .max(50),
  otherwise: stepReference
    .optional()
    .describe('Where it goes on when no case is true; without it the journey is over.'),
});

/** Goes on at the first case that is true. */
export const branchStep: StepKind<z.infer<typeof fields>> = {
  type: 'branch',
  description: 'Goes on at the first case that is true.',
  fields,
  hasNext: false,
  scripts: ({ cases }) =>
    cases.map(({ when }, index) => ({
      path: ['cases', index, 'when'],
      script: { kind: 'expression', source: when },
    })),
  targets: ({ cases, otherwise }) => [
    ...cases.map(({ next }, index) => ({ path: ['cases', index, 'next'], stepId: next })),
    ...(otherwise === undefined ? [] : [{ path: ['otherwise'], stepId: otherwise }]),
  ],
  async run({ cases, otherwise }, { run }) {
    const outcomes = await run(cases.map(({ when }) => ({ kind: 'expression', source: when })));
    for (const [index, { next }] of cases.entries()) {
      // A case behind the true one is not asked: what is wrong with it is no matter.
      if (scriptValue(outcomes[index], `cases[${index}].when`) === true) return { go: 'to', stepId: next };
    }
    return { go: 'to', stepId: otherwise };
  },
};
