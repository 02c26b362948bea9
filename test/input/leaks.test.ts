import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { withValue } from '../support/rest-rows.ts';
import { GraphGround } from './graphql-ground.ts';
import { RestGround } from './rest-ground.ts';
import { someOf } from './values.ts';

/** Stands nowhere else, so that a hit is a leak: as what is good, of another kind, too long, and unreadable. */
const canary = 'canary-7f3a9c';
const forms: unknown[] = [canary, [canary], { [canary]: canary }, canary.repeat(60), `${canary}\0`];

describe('L: what a client says at any place', () => {
  let graph: GraphGround;
  let rest: RestGround;
  beforeAll(async () => {
    [graph, rest] = await Promise.all([GraphGround.start(), RestGround.start()]);
    for (const { app } of [graph, rest]) app.core.log.level = 'trace';
  });
  afterAll(() => Promise.all([graph.stop(), rest.app.stop()]));

  it('does not stand in the log, at its most talkative', async () => {
    for (const [turn, place] of graph.places.entries()) {
      for (const value of someOf(forms, turn, 2)) await graph.tryAll(place, value);
    }
    for (const [turn, { name, row, field }] of rest.places.entries()) {
      for (const value of someOf(forms, turn, 3)) {
        await rest.call(name, row, withValue(rest.bodyOf(row), field.path, value));
      }
      await rest.app.rest(`${name}?token=${canary}`, {}, { token: canary, headers: { 'x-api-key': canary } });
    }
    for (const { app } of [graph, rest]) {
      expect(app.logged.length).toBeGreaterThan(100);
      expect(app.logged.filter((line) => line.includes(canary))).toEqual([]);
    }
  }, 120_000);
});
