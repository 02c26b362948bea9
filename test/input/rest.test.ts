import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { z } from 'zod';
import { restRows } from '../support/rest-rows.ts';
import { RestGround } from './rest-ground.ts';
import { anyValue, odd, someOf, unreadable, wrong } from './values.ts';
import { digestOf } from './watch.ts';

const seed = 20_261_120;

describe(`R1: the older contracts with bad values in every field (seed ${seed})`, () => {
  let ground: RestGround;
  beforeAll(async () => {
    ground = await RestGround.start();
  });
  afterAll(() => ground.app.stop());

  it('reaches every field of every row', async () => {
    const reached = new Set(ground.places.map(({ name, field }) => `${name} ${field.name}`));
    const wanted = (await restRows()).flatMap(([name, row]) =>
      namesIn(z.toJSONSchema(row.in, { io: 'input', unrepresentable: 'any' }), '').map((field) => `${name} ${field}`),
    );
    expect(wanted.filter((name) => !reached.has(name))).toEqual([]);
    expect([...reached].filter((name) => !wanted.includes(name))).toEqual([]);
    expect(wanted.length).toBeGreaterThan(30);
  });

  it('names the field for every wrong value, and writes nothing', async () => {
    const before = await digestOf(ground.app);
    for (const [turn, place] of ground.places.entries()) {
      for (const value of [...wrong, ...someOf(unreadable, turn, 4)])
        if (ground.isRefused(place, value)) await ground.try(place, value);
    }
    expect(await digestOf(ground.app)).toBe(before);
  }, 120_000);

  it('takes no harm from any other value', async () => {
    for (const [turn, place] of ground.places.entries()) {
      const taken = wrong.filter((value) => !ground.isRefused(place, value));
      for (const value of [...taken, ...someOf(odd, turn, 8)]) await ground.try(place, value);
    }
  }, 120_000);

  it('takes no harm from random values at random places', async () => {
    await fc.assert(
      fc.asyncProperty(fc.constantFrom(...ground.places), anyValue, (place, value) => ground.try(place, value)),
      { seed, numRuns: 300 },
    );
  }, 120_000);
});

/** The fields that a JSON schema names, those inside lists as the first item's. */
function namesIn(schema: unknown, path: string): string[] {
  const {
    properties = {},
    items,
    anyOf = [],
  } = schema as {
    properties?: Record<string, unknown>;
    items?: unknown;
    anyOf?: unknown[];
  };
  return [
    ...Object.entries(properties).flatMap(([name, field]) => {
      const here = path === '' ? name : `${path}.${name}`;
      return [here, ...namesIn(field, here)];
    }),
    ...(items === undefined ? [] : namesIn(items, `${path}[0]`)),
    ...anyOf.flatMap((option) => namesIn(option, path)),
  ];
}
