import { afterAll, afterEach, beforeAll, expect, it } from '@jest/globals';
import type { Browser, Page } from 'playwright-core';
import { startApp } from '../support/app.ts';
import { describeInBrowser, launchBrowser, openWatched, type WatchedPage } from '../support/browser.ts';

const patience = 60_000;
const password = 'correct horse';

describeInBrowser('the GraphQL IDE', () => {
  let app: Awaited<ReturnType<typeof startApp>>;
  let browser: Browser;
  let watched: WatchedPage | undefined;

  beforeAll(async () => {
    browser = await launchBrowser();
    app = await startApp({ web: true });
  }, patience);

  afterAll(async () => {
    await browser?.close();
    await app?.stop();
  });

  afterEach(async () => {
    if (!watched) return;
    await watched.page.context().close();
    expect(watched.outsideRequests).toEqual([]);
    expect(watched.faults).toEqual([]);
  });

  it(
    'signs a newcomer up, answers the example query and shows an event that a webhook makes',
    async () => {
      const source = await app.make.source();
      await app.rest('sources.channels.create', { source_channel_id: 'page-1', name: 'Page' }, { token: source.token });
      const say = (id: string, text: string) =>
        app.rest(
          'sources.webhook',
          {
            messages: [
              {
                source_message_id: id,
                source_conversation_id: 'conversation-1',
                source_channel_id: 'page-1',
                source_sender_id: 'ada',
                content: { text },
                from_contact: true,
                sent_at: Date.now(),
              },
            ],
          },
          { token: source.token },
        );
      expect((await say('first', 'Good morning')).status).toBe(200);
      watched = await openWatched(browser, `${app.url}/graphiql`);
      const { page, socketFrames } = watched;
      expect(await page.title()).toBe('GraphQL IDE · Parley');

      await signUp(page, 'newcomer@example.org');
      expect(await headersEditor(page).innerText()).toMatch(/"Authorization":\s"Bearer\s[\w-]+\.[\w-]+\.[\w-]+"/);

      await run(page);
      await result(page).filter({ hasText: '"Good morning"' }).waitFor();
      expect(await result(page).innerText()).toMatch(/"unreadCount":\s1/);

      await page.getByRole('tab', { name: 'InboxEvents' }).click();
      await run(page);
      // Nothing on the page says that the server listens already, so speak until it hears.
      for (let count = 1; !heard(socketFrames, 'Good afternoon') && count <= 50; count++) {
        await say(`later-${count}`, 'Good afternoon');
        await page.waitForTimeout(100);
      }
      expect(heard(socketFrames, 'Good afternoon')).toBe(true);
      await result(page).filter({ hasText: '"inbox"' }).filter({ hasText: '"cursor"' }).waitFor();
      await page.getByRole('button', { name: /^Stop query/ }).click();
      await page.getByRole('button', { name: /^Execute query/ }).waitFor();
    },
    patience,
  );

  it(
    'keeps the login over a reload, forgets it at the log-out and takes no wrong password',
    async () => {
      watched = await openWatched(browser, `${app.url}/graphiql`);
      const { page } = watched;
      await signUp(page, 'returning@example.org');
      await run(page);
      await result(page).filter({ hasText: '"eventCursor"' }).waitFor();
      const { token } = JSON.parse((await stored(page, 'session'))['parley.session'] ?? '{}') as { token: string };
      expect(token).toMatch(/^ey/);

      await page.reload();
      await bar(page).getByText('Signed in as returning@example.org').waitFor();
      // The history writes down what was run; the token must not be in there.
      expect(JSON.stringify(await stored(page, 'local'))).not.toContain(token);

      await bar(page).getByRole('button', { name: 'Log out' }).click();
      await form(page, 'Log in').waitFor();
      expect(await stored(page, 'session')).toEqual({});

      await logIn(page, 'returning@example.org', 'battery staple');
      await bar(page).getByRole('alert').waitFor();
      await logIn(page, 'returning@example.org', password);
      await bar(page).getByText('Signed in as returning@example.org').waitFor();
      expect(await bar(page).innerText()).toMatch(/ADMIN|AGENT/);
      await run(page);
      await result(page).filter({ hasText: '"eventCursor"' }).waitFor();
    },
    patience,
  );

  it(
    'shows the refusal to somebody who is not signed in',
    async () => {
      watched = await openWatched(browser, `${app.url}/graphiql`);
      await run(watched.page);
      await result(watched.page).filter({ hasText: '"UNAUTHENTICATED"' }).waitFor();
    },
    patience,
  );
});

const bar = (page: Page) => page.getByRole('banner');
const form = (page: Page, name: string) => bar(page).getByRole('form', { name });
const result = (page: Page) => page.getByLabel('Result Window');
const headersEditor = (page: Page) => page.getByRole('region', { name: 'Headers' });

/** Runs what the editor shows. Before its editors stand, GraphiQL's button does nothing, without a word. */
async function run(page: Page): Promise<void> {
  await page.getByRole('region', { name: 'Operation Editor' }).locator('.view-line').first().waitFor();
  await result(page).locator('.monaco-editor').first().waitFor();
  await page.getByRole('button', { name: /^Execute query/ }).click();
}

async function signUp(page: Page, email: string): Promise<void> {
  await bar(page).getByRole('button', { name: 'Sign up' }).click();
  const fields = form(page, 'Sign up');
  await fields.getByLabel('First name').fill('Nova');
  await fields.getByLabel('Last name').fill('Comer');
  await fields.getByLabel('E-mail').fill(email);
  await fields.getByLabel('Password').fill(password);
  await fields.getByRole('button', { name: 'Sign up' }).click();
  await bar(page).getByText(`Signed in as ${email}`).waitFor();
  await headersEditor(page).filter({ hasText: 'Bearer' }).waitFor();
}

async function logIn(page: Page, email: string, secret: string): Promise<void> {
  const fields = form(page, 'Log in');
  await fields.getByLabel('E-mail').fill(email);
  await fields.getByLabel('Password').fill(secret);
  await fields.getByRole('button', { name: 'Log in' }).click();
}

function heard(frames: string[], text: string): boolean {
  return frames.some((frame) => frame.includes(text));
}

async function stored(page: Page, kind: 'local' | 'session'): Promise<Record<string, string>> {
  const read = kind === 'local' ? () => ({ ...localStorage }) : () => ({ ...sessionStorage });
  return page.evaluate(read);
}
