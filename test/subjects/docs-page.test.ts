import { afterAll, beforeAll, expect, it } from '@jest/globals';
import type { Browser } from 'playwright-core';
import { startApp } from '../support/app.ts';
import { describeInBrowser, launchBrowser, openWatched } from '../support/browser.ts';

const patience = 60_000;

describeInBrowser('the REST docs', () => {
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
    'show each call with its sample, and make it with a token, without a request to anybody else',
    async () => {
      const { token } = await app.make.user();
      const conversation = await app.make.conversation({ displayName: 'Ada Lovelace' });
      const { page, outsideRequests, faults } = await openWatched(browser, `${app.url}/docs`);
      expect(await page.title()).toBe('REST docs · Parley');

      await page.getByRole('button', { name: 'Authorize' }).first().click();
      const dialog = page.locator('.modal-ux');
      await dialog.getByLabel('auth-bearer-value').first().fill(token);
      await dialog.getByRole('button', { name: 'Apply credentials' }).first().click();
      await dialog.getByRole('button', { name: 'Close' }).first().click();

      const call = page.locator('#operations-conversations-conversations_info');
      await call.locator('.opblock-summary-control').click();
      const body = call.locator('textarea.body-param__text');
      expect(JSON.parse(await body.inputValue())).toEqual({
        conversation_id: expect.stringMatching(/^[0-9a-f-]{36}$/),
      });
      await body.fill(JSON.stringify({ conversation_id: conversation.id }));
      await call.getByRole('button', { name: 'Execute' }).click();
      await call.locator('.live-responses-table').filter({ hasText: 'Ada Lovelace' }).first().waitFor();
      expect(await page.locator('.opblock').count()).toBeGreaterThan(60);
      await page.context().close();
      expect(outsideRequests).toEqual([]);
      expect(faults).toEqual([]);
    },
    patience,
  );
});
