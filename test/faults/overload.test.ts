import { expect, it } from '@jest/globals';
import { startApp } from '../support/app.ts';
import { until } from '../support/until.ts';
import { holdConversation } from './stop-run.ts';

it('refuses at once what it could not answer soon, on both surfaces, and takes all again afterwards (F17)', async () => {
  const app = await startApp();
  const { token } = await app.make.admin();
  const { id } = await app.make.conversation();
  const ask = () => app.graphql('{ __typename }');
  const sends = await holdConversation(app.database.url, id, async (held) => {
    const waiting = Array.from({ length: 300 }, () =>
      app.rest('messages.send', { conversation_id: id, message: { text: 'waits' } }, { token }),
    );
    const refused = await until(async () => {
      const answer = await ask();
      return answer.status === 200 ? undefined : answer;
    });
    const list = await app.rest('conversations.list', {}, { token });
    const health = await fetch(`${app.url}/health/live`);
    await held.release();

    expect(refused.status).toBe(503);
    expect(refused.headers.get('retry-after')).toBe('1');
    expect(refused.body.errors[0].extensions.code).toBe('UNAVAILABLE');
    expect(list.status).toBe(503);
    expect(list.headers.get('retry-after')).toBe('1');
    expect(list.body.message).toContain('too much');
    expect(health.status).toBe(200);
    return waiting;
  });

  const statuses = new Set((await Promise.all(sends)).map(({ status }) => status));
  expect([...statuses].filter((status) => status !== 200 && status !== 503)).toEqual([]);
  expect((await ask()).status).toBe(200);
  expect((await app.rest('conversations.list', {}, { token })).status).toBe(200);
});
