import { z } from 'zod';
import { type StepKind, scriptValue } from './steps.service.ts';

const fields = z.strictObject({
  status: z.enum(['COMPLETED', 'FAILED']).describe('How the journey ends.'),
  reason: z.string().min(1).max(4_096).optional().describe('A template: why.'),
});

const longestReason = 1_024;

/** Ends the journey. */
export const endStep: StepKind<z.infer<typeof fields>> = {
  type: 'end',
  description: 'Ends the journey.',
  fields,
  hasNext: false,
  scripts: ({ reason }) =>
    reason === undefined ? [] : [{ path: ['reason'], script: { kind: 'template', source: reason, place: 'text' } }],
  targets: () => [],
  async run({ status, reason }, { run }) {
    if (reason === undefined) return { go: 'end', status };
    const [outcome] = await run([{ kind: 'template', source: reason, place: 'text' }]);
    return { go: 'end', status, reason: String(scriptValue(outcome, 'reason')).slice(0, longestReason) };
  },
};
