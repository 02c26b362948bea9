import { existsSync } from 'node:fs';
import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough, Readable, Writable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { idOfSource } from '../../src/cli/demo.ts';
import { type ImportOptions, importFile } from '../../src/cli/import.ts';
import { startApp } from '../support/app.ts';

const sample = fileURLToPath(new URL('../../../shared/data/star/sample-200.jsonl', import.meta.url));
const second = Date.parse('2026-01-05T09:00:00Z');

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'parley-import-'));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

/** Rounds of one message per conversation, so that its lines stand far apart and share their second with others. */
function interleaved(prefix: string, { conversations, rounds }: { conversations: number; rounds: number }): string[] {
  return Array.from({ length: rounds * conversations }, (_, index) => {
    const conversation = `${prefix}-${index % conversations}`;
    const round = Math.floor(index / conversations);
    const message = {
      source_message_id: `${conversation}-${round}`,
      source_conversation_id: conversation,
      source_channel_id: `${prefix}-channel-${(index % conversations) % 3}`,
      source_sender_id: `${conversation}-sender`,
      content: { text: `round ${round}` },
      from_contact: round % 2 === 0,
      sent_at: second + Math.floor(round / 4) * 1000,
    };
    return JSON.stringify({ messages: [message] });
  });
}

async function fileOf(lines: string[], name = 'history.jsonl'): Promise<string> {
  const file = join(folder, name);
  await writeFile(file, `${lines.join('\n')}\n`);
  return file;
}

/** Options for an import in this process, what it printed, and every webhook call that it made. */
function setUp(url: string, token: string, given: Partial<ImportOptions> & { file: string; source: string }) {
  const printed: string[] = [];
  const out = new Writable({
    write(chunk: Buffer, _encoding, done) {
      printed.push(chunk.toString());
      done();
    },
  });
  const calls = { webhook: 0 };
  const stop = new AbortController();
  const fetchWith = given.fetch ?? fetch;
  const options: ImportOptions = {
    url,
    token,
    rotate: false,
    concurrency: 4,
    dataDir: folder,
    out,
    signal: stop.signal,
    ...given,
    fetch: (input, init) => {
      if (String(input).endsWith('/sources.webhook')) calls.webhook += 1;
      return fetchWith(input, init);
    },
  };
  return { options, calls, stop, text: () => printed.join('') };
}

interface MessageList {
  data: { content: { text: string } }[];
  pagination_data: { total: number };
}

describe('parley import', () => {
  it('makes source and channels on the way and keeps the order of each conversation', async () => {
    const app = await startApp();
    const admin = await app.make.user({ role: 'ADMIN' });
    const lines = interleaved('order', { conversations: 5, rounds: 12 });
    const run = setUp(app.url, admin.token, { file: await fileOf(lines), source: 'order', concurrency: 8 });

    const summary = await importFile(run.options);

    expect(summary).toMatchObject({ lines: 60, skippedLines: 0, messagesCreated: 60, duplicates: 0, conversations: 5 });
    for (let index = 0; index < 5; index += 1) {
      const list = { conversation_id: idOfSource('order', `order-${index}`), page_size: 100 };
      const answer = await app.rest('messages.list', list, { token: admin.token });
      expect(answer.status).toBe(200);
      const { data } = answer.body as MessageList;
      expect(data.map((message) => message.content.text)).toEqual(
        Array.from({ length: 12 }, (_, round) => `round ${round}`),
      );
    }
    const channels = await app.rest('channels.list', { source: 'order' }, { token: admin.token });
    expect((channels.body as { data: unknown[] }).data).toHaveLength(3);
    expect(run.text()).toMatch(/60 created, 0 duplicates/);
  });

  it('keeps the token for its owner only, in a file that another run reads', async () => {
    const app = await startApp();
    const admin = await app.make.user({ role: 'ADMIN' });
    const lines = interleaved('mode', { conversations: 1, rounds: 2 });
    const run = setUp(app.url, admin.token, { file: await fileOf(lines), source: 'a/mode' });

    await importFile(run.options);

    const kept = join(folder, 'import', 'a%2Fmode.json');
    expect((await stat(kept)).mode & 0o777).toBe(0o600);
    const { token } = JSON.parse(await readFile(kept, 'utf8')) as { token: string };
    expect(token.length).toBeGreaterThan(20);
    expect(run.text()).not.toContain(token);
  });

  it('goes on where it was interrupted and sends every line once', async () => {
    const app = await startApp();
    const admin = await app.make.user({ role: 'ADMIN' });
    const lines = interleaved('stop', { conversations: 6, rounds: 10 });
    const file = await fileOf(lines);
    const first = setUp(app.url, admin.token, {
      file,
      source: 'stop',
      fetch: (input, init) => {
        if (first.calls.webhook >= 25) first.stop.abort();
        return fetch(input, init);
      },
    });

    const stopped = await importFile(first.options);
    const next = setUp(app.url, admin.token, { file, source: 'stop' });
    const resumed = await importFile(next.options);

    expect(stopped.isInterrupted).toBe(true);
    expect(stopped.lines).toBeGreaterThanOrEqual(25);
    expect(stopped.lines).toBeLessThan(60);
    expect(resumed).toMatchObject({ lines: 60 - stopped.lines, skippedLines: stopped.lines, duplicates: 0 });
    expect(first.calls.webhook + next.calls.webhook).toBe(60);
    expect(first.text()).toMatch('Run the same command again to go on');
  });

  it('sends nothing when the same file was finished before', async () => {
    const app = await startApp();
    const admin = await app.make.user({ role: 'ADMIN' });
    const file = await fileOf(interleaved('twice', { conversations: 2, rounds: 3 }));
    await importFile(setUp(app.url, admin.token, { file, source: 'twice' }).options);

    const again = setUp(app.url, admin.token, { file, source: 'twice' });
    const summary = await importFile(again.options);

    expect(summary).toMatchObject({ lines: 0, skippedLines: 6, messagesCreated: 0 });
    expect(again.calls.webhook).toBe(0);
    expect(again.text()).toMatch('Nothing to send');
  });

  it('names the command with --rotate when the token is not kept, and adds nothing with it', async () => {
    const app = await startApp();
    const admin = await app.make.user({ role: 'ADMIN' });
    const file = await fileOf(interleaved('rotate', { conversations: 2, rounds: 3 }));
    await importFile(setUp(app.url, admin.token, { file, source: 'rotate' }).options);
    await rm(join(folder, 'import'), { recursive: true });

    const refused = importFile(setUp(app.url, admin.token, { file, source: 'rotate' }).options);
    await expect(refused).rejects.toThrow(/exists already.*\n.* import .*history\.jsonl --source rotate .*--rotate/);
    const rotated = await importFile(setUp(app.url, admin.token, { file, source: 'rotate', rotate: true }).options);

    expect(rotated).toMatchObject({ lines: 6, messagesCreated: 0, duplicates: 6 });
  });

  it('keeps its token when another gateway, by its address, does not let it in', async () => {
    const [app, other] = await Promise.all([startApp(), startApp()]);
    const admin = await app.make.user({ role: 'ADMIN' });
    const file = await fileOf(interleaved('two', { conversations: 2, rounds: 3 }));
    await importFile(setUp(app.url, admin.token, { file, source: 'two' }).options);

    await expect(importFile(setUp(other.url, admin.token, { file, source: 'two' }).options)).rejects.toThrow('403');
    const again = setUp(app.url, admin.token, { file, source: 'two' });
    expect(await importFile(again.options)).toMatchObject({ lines: 0, skippedLines: 6 });
  });

  it('tries again after a 503 and after a lost connection', async () => {
    const app = await startApp();
    const admin = await app.make.user({ role: 'ADMIN' });
    const file = await fileOf(interleaved('retry', { conversations: 2, rounds: 3 }));
    let faults = 0;
    const run = setUp(app.url, admin.token, {
      file,
      source: 'retry',
      fetch: async (input, init) => {
        if (!String(input).endsWith('/sources.webhook') || faults >= 3) return fetch(input, init);
        faults += 1;
        if (faults === 2) throw new TypeError('fetch failed', { cause: new Error('connection reset') });
        return new Response('{"message":"busy"}', {
          status: faults === 1 ? 503 : 429,
          headers: { 'retry-after': '0' },
        });
      },
    });

    expect(await importFile(run.options)).toMatchObject({ lines: 6, messagesCreated: 6 });
    expect(run.text()).toMatch('busy');
  });

  it("stops at a line that is refused, with its number and the gateway's message", async () => {
    const app = await startApp();
    const admin = await app.make.user({ role: 'ADMIN' });
    const lines = interleaved('bad', { conversations: 1, rounds: 4 });
    lines[2] = lines[2]!.replace(/"sent_at":\d+/, '"sent_at":"yesterday"');
    const run = setUp(app.url, admin.token, { file: await fileOf(lines), source: 'bad' });

    await expect(importFile(run.options)).rejects.toThrow(/^Line 3: .*sent_at.*\(400\)/);

    const list = { conversation_id: idOfSource('bad', 'bad-0') };
    const answer = await app.rest('messages.list', list, { token: admin.token });
    expect((answer.body as MessageList).data).toHaveLength(2);
  });

  it('reads packed files and standard input', async () => {
    const app = await startApp();
    const admin = await app.make.user({ role: 'ADMIN' });
    const lines = interleaved('packed', { conversations: 2, rounds: 3 });
    const file = join(folder, 'history.jsonl.gz');
    await writeFile(file, gzipSync(lines.join('\n')));

    const packed = await importFile(setUp(app.url, admin.token, { file, source: 'packed' }).options);
    const stdin = Readable.from([Buffer.from(lines.join('\n'))]);
    const piped = await importFile(setUp(app.url, admin.token, { file: '-', source: 'packed', stdin }).options);

    expect(packed).toMatchObject({ lines: 6, messagesCreated: 6 });
    expect(piped).toMatchObject({ lines: 6, messagesCreated: 0, duplicates: 6 });
  });

  it('ends at Ctrl-C although standard input says nothing', async () => {
    const app = await startApp();
    const admin = await app.make.user({ role: 'ADMIN' });
    const stdin = new PassThrough();
    const run = setUp(app.url, admin.token, { file: '-', source: 'quiet', stdin });
    const done = importFile(run.options);
    stdin.write(`${interleaved('quiet', { conversations: 1, rounds: 1 })[0]}\n`, () => run.stop.abort());

    expect(await done).toMatchObject({ isInterrupted: true });
  });

  it('says what is missing without a token and with a refused one', async () => {
    const app = await startApp();
    const agent = await app.make.user({ role: 'AGENT' });
    const file = await fileOf(interleaved('none', { conversations: 1, rounds: 1 }));

    await expect(importFile(setUp(app.url, '', { file, source: 'none' }).options)).rejects.toThrow('PARLEY_TOKEN');
    const refused = importFile(setUp(app.url, agent.token, { file, source: 'none' }).options);
    await expect(refused).rejects.toThrow(/^sources\.create: .*403/);
  });

  (existsSync(sample) ? it : it.skip)('imports two hundred real conversations', async () => {
    const app = await startApp();
    const admin = await app.make.user({ role: 'ADMIN' });
    const run = setUp(app.url, admin.token, { file: sample, source: 'star' });

    expect(await importFile(run.options)).toMatchObject({ lines: 200, messagesCreated: 3272, conversations: 200 });

    const answer = await app.rest('conversations.list', {}, { token: admin.token });
    expect((answer.body as MessageList).pagination_data.total).toBe(200);
  });
});
