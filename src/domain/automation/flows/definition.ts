import { z } from 'zod';
import { type Fault, InvalidInput, maxFaults } from '../../errors.ts';
import { oversizedJson } from '../../text.ts';
import { checkScripts } from '../expressions/expression.service.ts';
import {
  allStepKinds,
  commonFields,
  type FlowDefinition,
  type Step,
  type StepKind,
  type StepPath,
  stepKindOf,
  stepReference,
} from './steps.service.ts';

const mostSteps = 200;
const largestDefinition = 65_536;

const outline = z.strictObject({
  start: stepReference,
  steps: z.array(z.looseObject({})).min(1).max(mostSteps),
});

/** A step's whole shape: strict, so a misspelt field is told and not ignored. */
function shapeOf(kind: StepKind): z.ZodObject {
  return z.strictObject({
    ...commonFields,
    type: z.literal(kind.type),
    ...(kind.hasNext && { next: stepReference.optional().describe('The step after it; without one it is the last.') }),
    ...kind.fields.shape,
  });
}

/**
 * Checks a definition: fields, ids, where steps lead, and that every expression and template parses.
 *
 * @param path where the definition stands in the input
 * @throws InvalidInput up to 20 faults with their places, such as `definition.steps[2].cases[0].when`
 */
export async function checkedDefinition(definition: unknown, path: string): Promise<FlowDefinition> {
  const unfit = definition == null ? 'must be an object' : oversizedJson(definition, undefined, largestDefinition);
  if (unfit) throw new InvalidInput(path, unfit);
  const parsed = outline.safeParse(definition);
  if (!parsed.success) throw new InvalidInput(faultsOf(parsed.error, [path]));
  const faults: Fault[] = [];
  const steps = parsed.data.steps.map((given, index) => checkedStep(given, [path, 'steps', index], faults));
  if (faults.length === 0) {
    const flow = { start: parsed.data.start, steps: steps as Step[] };
    faults.push(...linkFaults(flow, path), ...(await scriptFaults(flow, path)));
    if (faults.length === 0) return flow;
  }
  throw new InvalidInput(faults.slice(0, maxFaults));
}

function checkedStep(given: Record<string, unknown>, path: StepPath, faults: Fault[]): Step | undefined {
  const kind = typeof given.type === 'string' ? stepKindOf(given.type) : undefined;
  if (!kind) {
    const known = allStepKinds().map(({ type }) => type);
    faults.push({ path: written([...path, 'type']), message: `must be one of ${known.join(', ')}` });
    return undefined;
  }
  const parsed = shapeOf(kind).safeParse(given);
  if (!parsed.success) {
    faults.push(...faultsOf(parsed.error, path));
    return undefined;
  }
  const step = parsed.data as unknown as Step;
  for (const { path: inner, message } of kind.faults?.(step) ?? []) {
    faults.push({ path: written([...path, ...inner]), message });
  }
  return step;
}

function linkFaults({ start, steps }: FlowDefinition, path: string): Fault[] {
  const faults: Fault[] = [];
  const places = new Map<string, number>();
  for (const [index, { id }] of steps.entries()) {
    const first = places.get(id);
    if (first === undefined) places.set(id, index);
    else faults.push({ path: `${path}.steps[${index}].id`, message: `"${id}" is the id of steps[${first}] already` });
  }
  const unknown = (id: string) => `there is no step "${id}"`;
  if (!places.has(start)) faults.push({ path: `${path}.start`, message: unknown(start) });
  for (const [index, step] of steps.entries()) {
    for (const target of targetsOf(step)) {
      if (places.has(target.stepId)) continue;
      faults.push({ path: written([path, 'steps', index, ...target.path]), message: unknown(target.stepId) });
    }
  }
  if (faults.length > 0) return faults;
  const reached = reachedFrom(start, new Map(steps.map((step) => [step.id, step])));
  return steps.flatMap(({ id }, index) =>
    reached.has(id) ? [] : [{ path: `${path}.steps[${index}]`, message: `no step leads to "${id}"` }],
  );
}

function targetsOf(step: Step): { path: StepPath; stepId: string }[] {
  const next = step.next === undefined ? [] : [{ path: ['next'], stepId: step.next }];
  return [...next, ...(stepKindOf(step.type)?.targets(step) ?? [])];
}

function reachedFrom(start: string, steps: Map<string, Step>): Set<string> {
  const reached = new Set<string>();
  const waiting = [start];
  for (let id = waiting.pop(); id !== undefined; id = waiting.pop()) {
    if (reached.has(id)) continue;
    reached.add(id);
    waiting.push(...targetsOf(steps.get(id)!).map(({ stepId }) => stepId));
  }
  return reached;
}

async function scriptFaults({ steps }: FlowDefinition, path: string): Promise<Fault[]> {
  const placed = steps.flatMap((step, index) =>
    (stepKindOf(step.type)?.scripts(step) ?? []).map(({ path: inner, script }) => ({
      path: written([path, 'steps', index, ...inner]),
      script,
    })),
  );
  const found = await checkScripts(placed.map(({ script }) => script));
  return placed.flatMap(({ path: place }, index) => {
    const fault = found[index];
    if (!fault) return [];
    const position = fault.position === undefined ? '' : ` (at position ${fault.position})`;
    return [{ path: place, message: `${fault.message}${position}` }];
  });
}

function faultsOf(error: z.ZodError, path: StepPath): Fault[] {
  return error.issues
    .slice(0, maxFaults)
    .map((issue) => ({ path: written([...path, ...(issue.path as StepPath)]), message: issue.message }));
}

/** `definition.steps[2].id` */
function written(path: StepPath): string {
  return path.map((part, index) => (typeof part === 'number' ? `[${part}]` : index === 0 ? part : `.${part}`)).join('');
}

/** The JSON Schema of a definition, for editors: made from the registered kinds of steps. */
export function definitionSchema(): unknown {
  const steps = allStepKinds().map((kind) => shapeOf(kind).describe(kind.description));
  const [first, second, ...rest] = steps;
  const schema = z
    .strictObject({
      start: stepReference.describe('The id of the first step.'),
      steps: z
        .array(z.union([first!, second!, ...rest]))
        .min(1)
        .max(mostSteps),
    })
    .describe('The definition of a flow.');
  return { title: 'Flow definition', ...z.toJSONSchema(schema) };
}
