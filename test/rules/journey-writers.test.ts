import { globSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect, it } from '@jest/globals';

const root = fileURLToPath(new URL('../../', import.meta.url));

// What moves a journey must be what a reader finds: the work of its lane, and the end from outside.
it('nothing but advance and endJourney writes the status or the step of a journey', () => {
  const writers = globSync('src/**/*.ts', { cwd: root }).flatMap((file) => {
    const text = readFileSync(`${root}/${file}`, 'utf8');
    const updates = [...text.matchAll(/update journey\b(?!_)[\s\S]*?(?:where|from)\b/g)].map(([update]) => update);
    return updates.some((update) =>
      /\b(status|step_id|waiting|wake_at)\s*=/.test(update.replace(/^update journey \w+ set/, '')),
    )
      ? [file]
      : [];
  });
  expect(writers.sort()).toEqual([
    'src/domain/automation/journeys/journey.advance.service.ts',
    'src/domain/automation/journeys/journey.service.ts',
  ]);
  const { length } = readFileSync(`${root}/src/domain/automation/journeys/journey.service.ts`, 'utf8').match(
    /update journey set status/g,
  )!;
  expect(length).toBe(1);
});
