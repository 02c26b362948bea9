import { expect, it, jest } from '@jest/globals';
import { startApp } from '../support/app.ts';
import { testedApp } from './action-ground.ts';
import { asPromised, sendDuplicates, sendShuffled } from './ingest-run.ts';

jest.setTimeout(60_000);

it('stores a message once and as it came first, whatever is sent again (F4)', async () => {
  const tested = await testedApp(await startApp());
  const result = await sendDuplicates(tested, { messages: 60, conversations: 6, connections: 8 });

  expect(result).toEqual(asPromised);
});

it('lists by the time of sending what comes in any order, with the metadata that came before (F5)', async () => {
  const tested = await testedApp(await startApp());
  const result = await sendShuffled(tested, { messages: 600, conversations: 10 });

  expect(result).toEqual(asPromised);
});
