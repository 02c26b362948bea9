import { afterAll, beforeAll, expect, it } from '@jest/globals';
import type { Browser } from 'playwright-core';
import { startApp } from '../support/app.ts';
import { describeInBrowser, launchBrowser, openWatched } from '../support/browser.ts';
import { flowsOf } from '../support/flows.ts';
import { send } from '../support/sending.ts';

const patience = 60_000;

describeInBrowser('the page of a journey', () => {
  let app: Awaited<ReturnType<typeof startApp>>;
  let browser: Browser;

  beforeAll(async () => {
    browser = await launchBrowser();
    app = await startApp({ web: true });
  }, patience);

  afterAll(async () => {
    await browser?.close();
    await app?.stop();
  });

  it(
    'shows the conversation, takes an answer that moves the journey, and shows what comes live',
    async () => {
      const flows = await flowsOf(app);
      const conversation = await app.make.conversation({ displayName: 'Ada Lovelace' });
      const flowId = await flows.published([
        { id: 'm', type: 'message', to: { conversation: true }, content: 'How can we help <b>you</b>?', next: 'w' },
        { id: 'w', type: 'wait', for: 'event', name: 'message.received', next: 't' },
        { id: 't', type: 'message', to: { conversation: true }, content: 'You wrote: {{ event.text }}' },
      ]);
      const journey = await flows.start(flowId, { conversationId: conversation.id });
      await flows.waiting(journey);
      const { page, outsideRequests, faults } = await openWatched(browser, journey.link);
      await page.getByText('How can we help <b>you</b>?').waitFor();
      expect(await page.title()).toBe('A channel');

      await page.getByLabel('Your message').fill('My order is late');
      await page.keyboard.press('Enter');
      await page.getByText('You wrote: My order is late').waitFor();
      expect(await flows.ended(journey)).toMatchObject({ status: 'COMPLETED' });
      await send(app, conversation, 'An agent is here now');
      await page.getByText('An agent is here now').waitFor();
      expect(await page.getByText('My order is late', { exact: true }).count()).toBe(1);
      if (process.env.SCREENSHOT) await page.screenshot({ path: process.env.SCREENSHOT });
      await page.context().close();
      expect(outsideRequests).toEqual([]);
      expect(faults).toEqual([]);
    },
    patience,
  );

  it(
    'says so when the link is not known, and is kept out of caches and referrers',
    async () => {
      const address = `${app.url}/j/${'A'.repeat(22)}`;
      const { headers } = await fetch(address);
      expect(headers.get('referrer-policy')).toBe('no-referrer');
      expect(headers.get('cache-control')).toBe('no-store');
      expect(headers.get('x-robots-tag')).toContain('noindex');
      const { page, outsideRequests } = await openWatched(browser, address);
      await page.locator('#over').waitFor();
      expect(await page.locator('#over-title').textContent()).not.toBe('');
      await page.context().close();
      expect(outsideRequests).toEqual([]);
    },
    patience,
  );
});
