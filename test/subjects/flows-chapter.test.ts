import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { promisify } from 'node:util';
import { describe, expect, it } from '@jest/globals';
import { startActionEndpoint } from '../support/action-endpoint.ts';
import { startApp } from '../support/app.ts';
import { flowsOf, passTime } from '../support/flows.ts';
import { until } from '../support/until.ts';

const day = 86_400;

describe('the chapter "A flow that greets, waits two days and asks again"', () => {
  /** What stands in it to be typed, as it stands. */
  const commands = () => {
    const text = readFileSync(new URL('../../docs/flows.md', import.meta.url), 'utf8');
    return [...text.matchAll(/```sh\n(.*?)```/gs)].map(([, block]) => block).join('\n');
  };

  async function walked() {
    const endpoint = await startActionEndpoint();
    const route = endpoint.route();
    const app = await startApp({ settings: { outboundAllow: [endpoint.hostPort] } });
    const source = await app.make.source({ actionEndpoint: route.url });
    const conversation = await app.make.conversation({ source, displayName: 'Ada Lovelace' });
    const { token } = await app.make.admin();
    const { stdout } = await promisify(execFile)('bash', ['-euo', 'pipefail', '-c', commands()], {
      env: { PATH: process.env.PATH, PARLEY_URL: app.url, PARLEY_TOKEN: token },
    });
    const [, id] = /journey ([0-9a-f-]{36})/.exec(stdout) ?? [];
    expect(stdout).not.toContain('errors');
    const flows = await flowsOf(app);
    const journey = { id: id! };
    const texts = () => route.calls.map(({ body }) => body.payload.message.content.text as string);
    const answer = (text: string) =>
      app.make.webhook(source, { messages: [app.make.webhookMessage({ ...conversation.place, content: { text } })] });
    return { app, flows, journey, texts, answer };
  }

  it('greets, asks again after two days, and thanks for the answer', async () => {
    const { app, flows, journey, texts, answer } = await walked();
    await flows.waiting(journey, 'first_wait');
    await until(async () => texts().length === 1);
    await passTime(app, 2 * day - 60);
    expect(await flows.now(journey)).toMatchObject({ stepId: 'first_wait', waitingFor: 'message.received' });
    await passTime(app, 60);
    await flows.waiting(journey, 'second_wait');
    await until(async () => texts().length === 2);
    await passTime(app, day);
    await answer('My order is late');
    expect(await flows.ended(journey)).toMatchObject({ status: 'COMPLETED', reason: 'answered' });
    await until(async () => texts().length === 3);
    expect(texts()).toEqual([
      'Hello Ada, how can we help?',
      'Are you still there? We would like to help.',
      'Thank you! We look into "My order is late".',
    ]);
    await app.stop();
  });

  it('gives up after four days without an answer', async () => {
    const { app, flows, journey, texts } = await walked();
    await flows.waiting(journey, 'first_wait');
    await passTime(app, 2 * day);
    await flows.waiting(journey, 'second_wait');
    await passTime(app, 2 * day);
    expect(await flows.ended(journey)).toMatchObject({ status: 'COMPLETED', reason: 'no answer' });
    await until(async () => texts().length === 2);
    await app.stop();
  });
});
