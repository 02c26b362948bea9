import { z } from 'zod';
import { expressionField, type StepKind, scriptValue } from './steps.service.ts';

const fields = z.strictObject({
  vars: z
    .record(
      z.string().regex(/^[A-Za-z_][A-Za-z0-9_]{0,63}$/, 'must be a name of letters, digits and _'),
      expressionField,
    )
    .refine((vars) => Object.keys(vars).length >= 1 && Object.keys(vars).length <= 50, 'must have 1 to 50 names')
    .describe('Expressions by the names under which their values stand in journey.vars.'),
});

/** Writes variables of the journey; all are evaluated before any is written. */
export const setStep: StepKind<z.infer<typeof fields>> = {
  type: 'set',
  description: 'Writes variables of the journey.',
  fields,
  hasNext: true,
  scripts: ({ vars }) =>
    Object.entries(vars).map(([name, source]) => ({ path: ['vars', name], script: { kind: 'expression', source } })),
  targets: () => [],
  async run({ vars }, env) {
    const names = Object.keys(vars);
    const outcomes = await env.run(names.map((name) => ({ kind: 'expression', source: vars[name]! })));
    const values = names.map((name, index) => [name, scriptValue(outcomes[index], `vars.${name}`)] as const);
    return { go: 'next', vars: Object.fromEntries(values) };
  },
};
