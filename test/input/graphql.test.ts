import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { getIntrospectionQuery, type IntrospectionQuery } from 'graphql';
import { GraphGround } from './graphql-ground.ts';
import { anyValue, odd, someOf, unreadable, wrong } from './values.ts';
import { digestOf } from './watch.ts';

const seed = 20_261_120;

describe(`GraphQL with bad values at every place (seed ${seed})`, () => {
  let ground: GraphGround;
  beforeAll(async () => {
    ground = await GraphGround.start();
  });
  afterAll(() => ground.stop());

  const overHttp = () => ground.places.filter(({ kind }) => kind !== 'subscription');

  it('reaches every argument and every field of every input', async () => {
    const { body } = await ground.app.graphql(getIntrospectionQuery());
    const { types } = (body.data as IntrospectionQuery).__schema;
    const wanted = types
      .filter(({ name }) => !name.startsWith('__'))
      .flatMap((type) => {
        if (type.kind === 'INPUT_OBJECT') return type.inputFields.map(({ name }) => `${type.name}.${name}`);
        if (type.kind !== 'OBJECT') return [];
        return type.fields.flatMap((field) => field.args.map(({ name }) => `${type.name}.${field.name}.${name}`));
      });
    const reached = new Set(ground.places.map(({ name, owner }) => owner ?? name));
    expect(wanted.filter((name) => !reached.has(name))).toEqual([]);
    expect(wanted.length).toBeGreaterThan(50);
  });

  it('refuses what the type forbids with BAD_USER_INPUT on both ways, and writes nothing', async () => {
    const before = await digestOf(ground.app);
    for (const [turn, place] of overHttp().entries()) {
      for (const value of [...wrong, ...someOf(unreadable, turn, 2)])
        if (ground.isRefused(place, value)) await ground.try(place, value);
    }
    for (const place of ground.places) {
      for (const value of wrong) if (ground.isRefused(place, value)) await ground.tryOverSocket(place, value);
    }
    expect(await digestOf(ground.app)).toBe(before);
  }, 120_000);

  it('takes no harm from any other value, in a variable or within the document', async () => {
    for (const [turn, place] of overHttp().entries()) {
      for (const value of someOf(odd, turn, 6)) await ground.try(place, value);
      for (const value of someOf([...odd, ...wrong, ...unreadable], turn, 4)) await ground.tryLiteral(place, value);
    }
  }, 120_000);

  it('takes no harm from random values at random places, on both ways', async () => {
    await fc.assert(
      fc.asyncProperty(fc.constantFrom(...ground.places), anyValue, (place, value) => ground.tryAll(place, value)),
      { seed, numRuns: 150 },
    );
  }, 120_000);
});
