import fc from 'fast-check';
import { maxOutputBytes } from '../../src/domain/automation/expressions/script.ts';
import { runScript } from '../../src/domain/automation/expressions/script-runner.ts';
import { anyScript, scriptBindings, watchPrototypes } from '../support/script-arbitrary.ts';

/**
 * Runs random programs in this very thread, where an access to a prototype can be seen: each ends with a JSON value or
 * with the typed fault, and none reaches what is not its own.
 */
export async function checkPrograms(parameters: fc.Parameters<unknown>): Promise<void> {
  const reached = watchPrototypes();
  let times = 0;
  try {
    await fc.assert(
      fc.asyncProperty(anyScript, async (script) => {
        const outcome = await runScript('run', script, scriptBindings);
        if (outcome.ok) {
          const json = JSON.stringify(outcome.value);
          if (json.includes('reached')) throw new Error('the value holds what a prototype has');
          return Buffer.byteLength(json) <= maxOutputBytes;
        }
        const { message, position } = outcome.fault;
        const longest = JSON.stringify(script.source).length;
        return message.length > 0 && (position === undefined || (position >= 1 && position <= longest));
      }),
      parameters as fc.Parameters<[unknown]>,
    );
  } finally {
    times = reached();
  }
  if (times > 0) throw new Error(`a prototype was reached ${times} times`);
}
