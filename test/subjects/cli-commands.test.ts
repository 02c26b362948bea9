import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { run } from '../../src/cli/parley.ts';
import { type App, startApp } from '../support/app.ts';
import { until } from '../support/until.ts';

let app: App;
let token: string;
let folder: string;
const environment = { ...process.env };
beforeAll(async () => {
  app = await startApp({ settings: { role: 'gateway' } });
  ({ token } = await app.make.admin());
  folder = await mkdtemp(join(tmpdir(), 'parley-cli-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));
beforeEach(() => {
  Object.assign(process.env, {
    DATABASE_URL: app.database.url,
    DATA_DIR: folder,
    PARLEY_URL: app.url,
    PARLEY_TOKEN: token,
    LOG_LEVEL: 'silent',
  });
});
afterEach(() => {
  jest.restoreAllMocks();
  for (const name of Object.keys(process.env)) delete process.env[name];
  Object.assign(process.env, environment);
  process.exitCode = undefined;
});

/** Runs `parley` in this process; a Ctrl-C is `process.emit('SIGINT')`. */
function parley(...words: string[]) {
  let printed = '';
  let faults = '';
  jest.spyOn(process.stdout, 'write').mockImplementation((text) => {
    printed += String(text);
    return true;
  });
  jest.spyOn(process.stderr, 'write').mockImplementation((text) => {
    faults += String(text);
    return true;
  });
  const ended = run(words).then(() => ({ printed, faults, code: process.exitCode ?? 0 }));
  return { ended, text: () => printed, notices: () => faults };
}

describe('the parley command', () => {
  it.each([
    ['--help'],
    ['help', 'serve'],
    ['migrate', '--help'],
    ['user', 'create', '--help'],
    ['source', 'create', '--help'],
    ['key', 'create', '--help'],
    ['import', '--help'],
    ['demo', '--help'],
    ['events', 'tail', '--help'],
    ['listen', '--help'],
  ])('helps with %s %s %s', async (...words) => {
    const { printed, code } = await parley(...words).ended;
    expect(code).toBe(0);
    expect(printed).toMatch(/^Usage: parley/);
    if (words[0] !== '--help' && words[0] !== 'migrate') expect(printed).toContain('npm run parley -- ');
  });

  it('tells its version', async () => {
    expect((await parley('--version').ended).printed).toMatch(/^\d+\.\d+\.\d+\n$/);
  });

  it.each<[string, string[]]>([
    ['no command of that name', ['dance']],
    ['an option that is missing', ['user', 'create', '--email', 'ada@example.com']],
    ['an option that is none', ['demo', '--fast']],
    ['a number that is none', ['listen', 'my-source', '--port', 'four thousand']],
    ['a name that no source can have', ['source', 'create', 'two words']],
    ['a kind of key that is none', ['key', 'create', '--name', 'x', '--kind', 'golden']],
    ['an end that is no instant', ['key', 'create', '--kind', 'secret', '--name', 'x', '--expires', 'tomorrow']],
    ['a key without a name', ['key', 'create', '--kind', 'secret']],
    ['a secret that is none', ['listen', 'my-source', '--secret', 'whsec_%', '--secret', 'whsec_QQ==']],
    ['an address that is none', ['source', 'create', 'a', '--url', 'gateway']],
  ])('ends with 2 on %s', async (_what, words) => {
    const { faults, code } = await parley(...words).ended;
    expect(code).toBe(2);
    expect(faults).not.toBe('');
  });

  it('ends with 1 and a sentence when the gateway refuses', async () => {
    const { faults, code } = await parley('source', 'create', 'another', '--token', 'nonsense').ended;
    expect(code).toBe(1);
    expect(faults).toMatch(/^.+\n$/);
    expect(faults).not.toContain('    at ');
  });

  it('makes a source and shows its secrets', async () => {
    const { printed, code } = await parley('source', 'create', 'made-by-hand', '--name', 'By hand').ended;
    expect(code).toBe(0);
    const [, sourceToken] = /^token +(\S+)$/m.exec(printed) ?? [];
    expect(printed).toMatch(/^signing secret +whsec_\S+$/m);
    expect((await app.rest('sources.channels.list', {}, { token: sourceToken })).status).toBe(200);
  });

  it('makes an API key and shows it', async () => {
    const where = ['--address', '203.0.113.0/24', '--address', '2001:db8::/32', '--expires', '2999-01-01T00:00:00Z'];
    const words = ['key', 'create', '--kind', 'secret', '--name', 'Our shop', '--role', 'support'];
    const { printed, code } = await parley(...words, ...where).ended;
    expect([code, printed]).toEqual([0, expect.stringMatching(/^key +sk_\S{43}$/m)]);
    const [, id] = /^id +(\S+)$/m.exec(printed) ?? [];
    const { node } = await app.data(
      'query ($id: ID!) { node(id: $id) { ... on ApiKey { name kind role allowedCidrs expiresAt } } }',
      { id },
      token,
    );
    expect(node).toEqual({
      name: 'Our shop',
      kind: 'SECRET',
      role: 'SUPPORT',
      allowedCidrs: ['203.0.113.0/24', '2001:db8::/32'],
      expiresAt: '2999-01-01T00:00:00.000Z',
    });
  });

  it('says what is wrong with an API key that is not made', async () => {
    const words = ['key', 'create', '--kind', 'endpoint', '--name', 'The bank'];
    const address = await parley(...words, '--address', 'bank.example.com').ended;
    expect([address.code, address.faults]).toEqual([1, expect.stringContaining('203.0.113.0/24')]);
    const expiry = await parley(...words, '--expires', '2020-01-01T00:00:00Z').ended;
    expect([expiry.code, expiry.faults]).toEqual([1, expect.stringContaining('must be in the future')]);
  });

  it('lists the migrations, and has nothing to do where all are in', async () => {
    const status = await parley('migrate', 'status').ended;
    expect([status.code, status.printed]).toEqual([0, expect.stringMatching(/^applied +001_core/)]);
    const up = await parley('migrate', 'up').ended;
    expect([up.code, up.printed]).toEqual([0, 'Nothing to do: the database is at the newest step.\n']);
  });

  it('makes an account whose password comes from the environment', async () => {
    process.env.PARLEY_PASSWORD = 'correct horse';
    const names = ['--first-name', 'Ada', '--last-name', 'Lovelace'];
    const { printed, code } = await parley('user', 'create', '--email', 'ada@cli.test', ...names, '--role', 'ADMIN')
      .ended;
    expect([code, printed]).toEqual([0, expect.stringContaining('Made the ADMIN ada@cli.test')]);
    const login = await app.rest('users.login', { email: 'ada@cli.test', password: 'correct horse' });
    expect(login.status).toBe(200);
    const again = await parley('user', 'create', '--email', 'ada@cli.test', ...names).ended;
    expect([again.code, again.faults]).toEqual([1, expect.stringMatching(/ada@cli.test|e-mail/)]);
  });

  describe('asked for a password', () => {
    const create = ['user', 'create', '--first-name', 'Ada', '--last-name', 'Lovelace', '--email'];
    const { stdin } = process;
    afterEach(() => {
      Object.defineProperty(process, 'stdin', { value: stdin, configurable: true });
    });

    /** A terminal at which somebody types. */
    function typing(...typed: string[]) {
      const terminal = Object.assign(new PassThrough(), { isTTY: true, setRawMode: () => terminal });
      Object.defineProperty(process, 'stdin', { value: terminal, configurable: true });
      return (question: number) => void terminal.write(typed[question]!);
    }

    it('takes what is typed twice the same, without showing it', async () => {
      const type = typing('correct hosre\u007f\u007f\u007frse\r', 'correct horse\r');
      const command = parley(...create, 'typed@cli.test');
      await until(async () => command.notices().includes('Password: '));
      type(0);
      await until(async () => command.notices().includes('The same again: '));
      type(1);
      const { code, printed, faults } = await command.ended;
      expect([code, printed]).toEqual([0, expect.stringContaining('Made the AGENT typed@cli.test')]);
      expect(printed + faults).not.toContain('horse');
      const login = await app.rest('users.login', { email: 'typed@cli.test', password: 'correct horse' });
      expect(login.status).toBe(200);
    });

    it('makes nothing when the two differ, or when somebody gives up', async () => {
      for (const [second, words] of [
        ['another horse\n', /differ/],
        ['\u0003', /Given up/],
      ] as const) {
        const type = typing('correct horse\n', second);
        const command = parley(...create, 'differs@cli.test');
        await until(async () => command.notices().includes('Password: '));
        type(0);
        await until(async () => command.notices().includes('The same again: '));
        type(1);
        const { code, faults } = await command.ended;
        expect([code, faults]).toEqual([1, expect.stringMatching(words)]);
        jest.restoreAllMocks();
      }
    });

    it('says how else to give it where there is no terminal', async () => {
      Object.defineProperty(process, 'stdin', { value: new PassThrough(), configurable: true });
      const { code, faults } = await parley(...create, 'nobody@cli.test').ended;
      expect([code, faults]).toEqual([2, expect.stringContaining('PARLEY_PASSWORD')]);
    });
  });

  it('imports a file', async () => {
    const file = join(folder, 'history.jsonl');
    const message = app.make.webhookMessage({ source_channel_id: 'desk' });
    await writeFile(file, `${JSON.stringify({ messages: [message] })}\n`);
    const { printed, code } = await parley('import', file, '--source', 'old-crm').ended;
    expect([code, printed]).toEqual([0, expect.stringMatching(/^Messages +1 created, 0 duplicates$/m)]);
  });

  it('refuses to write invented people in production', async () => {
    process.env.NODE_ENV = 'production';
    const { faults, code } = await parley('demo').ended;
    expect([code, faults]).toEqual([1, expect.stringContaining('production')]);
    process.env.NODE_ENV = 'staging';
    expect(await parley('demo').ended).toMatchObject({ code: 2, faults: expect.stringContaining('NODE_ENV') });
  });

  it('does not go on with a state that is damaged or cannot be kept', async () => {
    const message = app.make.webhookMessage({ source_channel_id: 'desk' });
    const file = join(folder, 'other.jsonl');
    await writeFile(file, `${JSON.stringify({ messages: [message] })}\n`);
    await mkdir(join(folder, 'import'), { recursive: true });
    await writeFile(join(folder, 'import/damaged.json'), '{"version":1');
    const damaged = await parley('import', file, '--source', 'damaged').ended;
    expect([damaged.code, damaged.faults]).toEqual([1, expect.stringContaining('damaged')]);
    await mkdir(join(folder, 'import/folder.json'));
    const folderInstead = await parley('import', file, '--source', 'folder').ended;
    expect([folderInstead.code, folderInstead.faults]).toEqual([1, expect.stringContaining('folder.json')]);
    process.env.DATA_DIR = file;
    const noFolder = await parley('import', file, '--source', 'nowhere').ended;
    expect(noFolder.code).toBe(1);
  });

  it('tails events until Ctrl-C', async () => {
    const command = parley('events', 'tail');
    await until(async () => command.notices().includes('Connected to'));
    await app.make.conversation({
      displayName: 'Ada Lovelace',
      messages: [{ content: { text: 'Is anybody there?' } }],
    });
    await until(async () => command.text().includes('Is anybody there?'));
    process.emit('SIGINT');
    expect((await command.ended).code).toBe(0);
  });

  it('listens for the calls of a source until Ctrl-C', async () => {
    const { sourceId } = await app.make.source();
    const command = parley('listen', sourceId, '--rotate');
    await until(async () => /http:\/\/127\.0\.0\.1:\d+/.test(command.text()));
    process.emit('SIGTERM');
    expect((await command.ended).code).toBe(0);
  });
});
