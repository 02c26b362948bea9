import { existsSync } from 'node:fs';
import { describe } from '@jest/globals';
import { type Browser, chromium, type Page } from 'playwright-core';

const debianChromium = '/usr/bin/chromium';

/** `describe` for what needs a browser: skipped, and reported as such, with `PARLEY_SKIP_BROWSER=1` only. */
export const describeInBrowser = process.env.PARLEY_SKIP_BROWSER === '1' ? describe.skip : describe;

/**
 * Starts Debian's Chromium, without a window, with an empty profile and with no way to any host but this machine.
 *
 * @throws Error that says how to install it
 */
export async function launchBrowser(): Promise<Browser> {
  if (!existsSync(debianChromium)) {
    throw new Error(
      'The tests of the pages need Chromium: run `apt-get install chromium`, or leave them out with PARLEY_SKIP_BROWSER=1.',
    );
  }
  return chromium.launch({
    executablePath: debianChromium,
    args: [
      '--no-sandbox',
      '--disable-gpu',
      '--disable-quic',
      '--no-first-run',
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-sync',
      '--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost',
    ],
  });
}

/** A page in a profile of its own, and what it did that a page of ours must not. */
export interface WatchedPage {
  page: Page;
  /** Addresses on other hosts that it asked for; `data:` and `blob:` stay in the browser. */
  outsideRequests: string[];
  /** Uncaught errors, and what the content security policy stopped. */
  faults: string[];
  /** What came in on its sockets, frame by frame. */
  socketFrames: string[];
}

/** Opens `url` and watches it from the first request on. */
export async function openWatched(browser: Browser, url: string): Promise<WatchedPage> {
  const context = await browser.newContext({ viewport: { width: 1440, height: 860 } });
  const { host } = new URL(url);
  const watched: WatchedPage = { page: await context.newPage(), outsideRequests: [], faults: [], socketFrames: [] };
  const note = (address: string) => {
    const { protocol, host: asked } = new URL(address);
    if (protocol !== 'data:' && protocol !== 'blob:' && asked !== host) watched.outsideRequests.push(address);
  };
  context.on('request', (request) => note(request.url()));
  watched.page.on('websocket', (socket) => {
    note(socket.url());
    socket.on('framereceived', ({ payload }) => watched.socketFrames.push(String(payload)));
  });
  watched.page.on('pageerror', (error) => watched.faults.push(String(error)));
  watched.page.on('console', (message) => {
    if (/content security policy/i.test(message.text())) watched.faults.push(message.text());
  });
  await watched.page.goto(url);
  return watched;
}
