import { readFileSync } from 'node:fs';
import { expect, it } from '@jest/globals';
import fc from 'fast-check';
import { buildClientSchema, getIntrospectionQuery } from 'graphql';
import { type Audience, rights } from '../../src/domain/access.ts';
import { GatewayProcess, prepareGround } from '../faults/gateway-process.ts';
import { createTestDatabase } from '../support/database.ts';
import { placesOf } from '../support/graph-places.ts';
import { fieldsOf, restRows, rootFieldOf, sampleBody, withValue } from '../support/rest-rows.ts';
import { anyValue } from './values.ts';
import { mostGrowth } from './watch.ts';

const seed = Date.now() % 2 ** 31;
const requests = 20_000;

it(`the whole plan of bad input costs a gateway at most ${mostGrowth} MB (seed ${seed})`, async () => {
  const database = await createTestDatabase();
  // V8 is given little room, so that only what is kept can grow: else it puts the collection off.
  const gateway = await GatewayProcess.start({
    nodeArgs: ['--max-semi-space-size=4', '--heap-growing-percent=180', '--max-old-space-size=96'],
    databaseUrl: database.url,
    env: { RETRY_TIME_SCALE: '0.000000001' },
  });
  const { adminToken, source } = await prepareGround(gateway);
  const schema = buildClientSchema(
    (await gateway.post('graphql', { query: getIntrospectionQuery() }, adminToken)).body.data,
  );
  const tokenFor = (root: string) => {
    const allowed: Audience[] = rights[root as keyof typeof rights] ?? [];
    return allowed.includes('ADMIN') ? adminToken : source.token;
  };
  const fields = (await restRows()).flatMap(([name, row]) => fieldsOf(row.in).map((field) => ({ name, row, field })));
  const places = placesOf(schema).filter(({ kind }) => kind !== 'subscription');
  const ofRest = fc.tuple(fc.constantFrom(...fields), anyValue).map(([{ name, row, field }, value]) => ({
    name,
    body: withValue(sampleBody(row.in), field.path, value),
    token: tokenFor(rootFieldOf(row)),
  }));
  const ofGraph = fc.tuple(fc.constantFrom(...places), anyValue).map(([place, value]) => ({
    name: 'graphql',
    body: { query: place.document, variables: withValue(place.variables, place.path, value) },
    token: tokenFor(place.root),
  }));
  const run = async (count: number, runSeed: number) => {
    for (const { name, body, token } of fc.sample(fc.oneof(ofRest, ofGraph), { numRuns: count, seed: runSeed })) {
      expect((await gateway.post(name, body, token)).status).toBeLessThan(500);
    }
  };
  const rssMb = () => Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${gateway.pid}/status`, 'utf8'))![1]) / 1024;

  // What a gateway takes once is no growth: its caches and compiled code.
  await run(2_000, seed + 1);
  const before = rssMb();
  for (let part = 0; part < 10; part += 1) await run(requests / 10, seed + 2 + part);
  const grown = rssMb() - before;
  process.stdout.write(
    `bad input, ${requests} requests (seed ${seed}): rss ${before.toFixed(0)} MB, grown ${grown.toFixed(0)} MB\n`,
  );
  expect(grown).toBeLessThan(mostGrowth);
  await gateway.terminate();
  await database.drop();
}, 3_600_000);
