import { beforeEach, expect, it, jest } from '@jest/globals';
import { createTestDatabase } from '../support/database.ts';
import { type Tested, testedProcess } from './action-ground.ts';
import { GatewayProcess } from './gateway-process.ts';
import { asPromised, sendDuplicates, sendShuffled } from './ingest-run.ts';

jest.setTimeout(600_000);

let tested: Tested;
beforeEach(async () => {
  const { url } = await createTestDatabase();
  tested = await testedProcess(await GatewayProcess.start({ databaseUrl: url, env: { DB_POOL: '10' } }), url);
});

it('F4 in full: 2,000 messages in all forms of duplicates on 8 connections', async () => {
  expect(await sendDuplicates(tested, { messages: 2_000, conversations: 50, connections: 8 })).toEqual(asPromised);
});

it('F5 in full: 10,000 messages of 50 conversations, shuffled over 20 minutes', async () => {
  expect(await sendShuffled(tested, { messages: 10_000, conversations: 50 })).toEqual(asPromised);
});
