import { describe, expect, it } from '@jest/globals';
import { reportLegacyCalls } from '../../src/cli/compat-report.ts';
import { startApp } from '../support/app.ts';
import { openPrinted } from '../support/printed.ts';

describe('parley compat-report', () => {
  it('says which legacy calls were made, how often, by whom and what replaces them', async () => {
    const app = await startApp({ settings: { role: 'gateway' } });
    const { token } = await app.make.admin();
    const report = async (json = false) => {
      const printed = openPrinted();
      await reportLegacyCalls({ url: app.url, token, days: 7, json, out: printed.out });
      return printed.text();
    };
    expect(await report()).toContain('Nobody made a call of the older contracts in the last 7 days.');

    const user = await app.make.user();
    const source = await app.make.source();
    for (const _ of [1, 2, 3]) await app.rest('conversations.list', {}, user);
    await app.rest('conversations.list', { page_size: 'x' }, user);
    await app.rest('sources.webhook', {}, source);
    await app.rest('users.login', { email: 'nobody@example.com', password: 'x' });
    // Who may not call at all is none of a contract's clients.
    await app.rest('conversations.list', {}, source);
    await app.rest('conversations.list', {});

    const text = await report();
    expect(text).toMatch(/conversations\.list -> conversations {3}4 calls\n.* 4 {2}user \S+@example\.com\n/);
    expect(text).toMatch(new RegExp(`sources\\.webhook -> ingest {3}1 call\\n.* 1 {2}source ${source.sourceId}\\n`));
    expect(text).toMatch(/users\.login -> logIn {3}1 call\n.* 1 {2}nobody signed in\n/);
    const lines = (await report(true)).trim().split('\n');
    expect(lines.map((line) => JSON.parse(line))).toContainEqual({
      name: 'conversations.list',
      field: 'conversations',
      callerKind: 'USER',
      callerName: user.email,
      calls: 4,
      lastAt: expect.stringMatching(/Z$/),
    });
  });

  it('counts on while the database is away, and keeps what was counted', async () => {
    const app = await startApp({ settings: { role: 'gateway' } });
    const { token } = await app.make.admin();
    const { sql } = app.core;
    const run = sql.run.bind(sql);
    await app.rest('tags.list', {}, { token });
    sql.run = () => Promise.reject(new Error('away'));
    await app.core.legacyCalls.flush();
    sql.run = run;
    await app.rest('tags.list', {}, { token });
    const { legacyCalls } = await app.data('{ legacyCalls { name calls } }', {}, token);
    expect(legacyCalls).toContainEqual({ name: 'tags.list', calls: 2 });
  });
});
