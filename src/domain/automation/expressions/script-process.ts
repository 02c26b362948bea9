// The process in which all that users wrote is parsed and run. It holds nothing but their scripts and the data of one call,
// and is ended from outside when a call takes too long.
import { compileExpression, runExpression } from './expressions.ts';
import { type Answer, type Asked, type Outcome, type Script, ScriptFailed } from './script.ts';
import { checkTemplate, renderTemplate, variablesOf } from './templates.ts';

// Ctrl-C goes to the whole group: whoever began this process ends it.
process.on('SIGINT', () => undefined);
process.on('disconnect', () => process.exit(0));
process.on('message', (asked: Asked) => void work(asked));
process.send?.('ready');

async function work(asked: Asked): Promise<void> {
  const bindings = asked.do === 'run' ? unprototyped(asked.bindings) : {};
  for (const [index, script] of asked.scripts.entries()) {
    const outcome = await outcomeOf(() => act(asked.do, script, bindings));
    process.send?.({ index, outcome } satisfies Answer);
  }
}

async function act(task: Asked['do'], script: Script, bindings: object): Promise<unknown> {
  if (task === 'variables') return script.kind === 'template' ? variablesOf(script.source, script.place) : [];
  if (script.kind === 'expression') {
    return task === 'check' ? void compileExpression(script.source) : runExpression(script.source, bindings);
  }
  return task === 'check'
    ? checkTemplate(script.source, script.place)
    : renderTemplate(script.source, script.place, bindings);
}

async function outcomeOf(run: () => Promise<unknown>): Promise<Outcome> {
  try {
    return { ok: true, value: await run() };
  } catch (error) {
    const isTold = error instanceof ScriptFailed;
    const { message, position } = isTold ? error : { message: 'it failed', position: undefined };
    return { ok: false, fault: { message, ...(position !== undefined && { position }) } };
  }
}

// Without prototypes there is nothing to be reached but the data's own properties.
function unprototyped(json: string): object {
  return JSON.parse(json, (_, value: unknown) =>
    typeof value === 'object' && value !== null && !Array.isArray(value)
      ? Object.assign(Object.create(null), value)
      : value,
  ) as object;
}
