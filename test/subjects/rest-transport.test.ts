import { connect } from 'node:net';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { type App, startApp } from '../support/app.ts';
import { restRows } from '../support/rest-rows.ts';

interface RawAnswer {
  status: number;
  headers: string;
  body: string;
}

describe('R: how a body comes to the older contracts', () => {
  let app: App;
  let names: string[];
  let token: string;

  beforeAll(async () => {
    app = await startApp();
    names = (await restRows()).map(([name]) => name);
    token = (await app.make.user()).token;
  });
  afterAll(() => app.stop());

  /** What a client library would not send, byte by byte; the answers until the connection ends. */
  function raw(text: string | Buffer): Promise<RawAnswer> {
    return new Promise((resolve) => {
      const chunks: Buffer[] = [];
      const socket = connect(Number(new URL(app.url).port), '127.0.0.1', () => socket.write(text));
      socket.on('data', (chunk) => chunks.push(chunk)).on('error', () => undefined);
      socket.on('close', () => {
        const [head = '', body = ''] = Buffer.concat(chunks).toString().split('\r\n\r\n');
        resolve({ status: Number(head.split(' ')[1]), headers: head.toLowerCase(), body });
      });
    });
  }

  const head = (lines: string, path = '/conversations.list', method = 'POST') =>
    `${method} ${path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\nauthorization: ${token}\r\n${lines}\r\n\r\n`;
  const typed = 'content-type: application/json';

  describe('R4: with', () => {
    it.each(['GET', 'HEAD', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'TRACE', 'PROPFIND', 'LOCK', 'SEARCH'])(
      'the method %s is 405, and says which one is right',
      async (method) => {
        for (const name of names) {
          const { status, headers } = await raw(head('content-length: 0', `/${name}`, method));
          expect([name, status, headers]).toEqual([name, 405, expect.stringContaining('\r\nallow: post')]);
        }
      },
    );

    it('a method that is none is 400', async () => {
      expect((await raw(head('content-length: 0', '/users.login', 'NONSENSE'))).status).toBe(400);
    });

    it('another spelling of the address is 404', async () => {
      for (const name of names) {
        const dot = name.replace('.', '%2e');
        for (const path of [
          `/${name}/`,
          `//${name}`,
          `/./${name}`,
          `/x/../${name}`,
          `/${dot}`,
          `/%2f${name}`,
          `/${name}%00`,
          `/${name}%20`,
          `/${name.toUpperCase()}`,
          `/${name};x=1`,
          `\\${name}`,
          `http://x/${name}`,
          `/${name}%3fx`,
          `/api/${name}`,
        ]) {
          const { status } = await raw(`${head(`${typed}\r\ncontent-length: 2`, path)}{}`);
          expect([path, status]).toEqual([path, path.startsWith('\\') ? 400 : 404]);
        }
      }
    });

    it('is none at all has our shape of a refusal', async () => {
      const answer = await raw(head('content-length: 0', 'http:///metrics'));
      expect([answer.status, answer.headers]).toEqual([400, expect.stringContaining('x-request-id')]);
      expect(JSON.parse(answer.body)).toEqual({ message: 'this address is not valid' });
    });

    it('a query or a fragment the address means the same', async () => {
      const query = await raw(`${head(`${typed}\r\ncontent-length: 2`, '/conversations.list?page_size=x')}{}`);
      expect(query.status).toBe(200);
    });
  });

  describe('R5: of a size or length that', () => {
    it('is one byte too many is 413, and one less is read', async () => {
      for (const [name, { maxBodyBytes: limit = 100_000 }] of await restRows()) {
        const filled = (bytes: number) => `{"x":"${'x'.repeat(bytes - 8)}"}`;
        const over = await app.rest(name, filled(limit + 1));
        expect([name, over.status, over.body]).toEqual([name, 413, { message: expect.stringContaining(`${limit}`) }]);
        expect([name, (await app.rest(name, filled(limit))).status === 413]).toEqual([name, false]);
      }
    });

    it('is far too large is 413 before it is sent', async () => {
      const { status, headers } = await raw(head(`${typed}\r\ncontent-length: 104857600`));
      expect([status, headers]).toEqual([413, expect.stringContaining('connection: close')]);
    });

    it('is told in chunks is counted as they come', async () => {
      const chunk = `4000\r\n${'x'.repeat(0x4000)}\r\n`;
      const endless = head(`${typed}\r\ntransfer-encoding: chunked`) + chunk.repeat(10);
      expect((await raw(endless)).status).toBe(413);
      const small = head(`${typed}\r\ntransfer-encoding: chunked`);
      expect((await raw(`${small}1\r\n{\r\n1\r\n}\r\n0\r\n\r\n`)).status).toBe(200);
    });

    it.each([
      'content-length: 2\r\ntransfer-encoding: chunked',
      'content-length: 2\r\ncontent-length: 3',
      'content-length: 2, 2',
      'content-length: -1',
      'content-length: +2',
      'content-length: 0x2',
      'content-length: 2 2',
      'content-length: 99999999999999999999',
      'content-length : 2',
      'transfer-encoding: identity, chunked, x',
      'transfer-encoding: xchunked',
    ])('is told as %j is 400, and the connection ends', async (lines) => {
      const { status } = await raw(
        `${head(`${typed}\r\n${lines}`)}{}GET /health/live HTTP/1.1\r\nhost: localhost\r\n\r\n`,
      );
      expect(status).toBe(400);
    });

    it('is longer than told leaves no second request in the rest', async () => {
      const smuggled = 'GET /health/live HTTP/1.1\r\nhost: localhost\r\n\r\n';
      const { body } = await raw(`${head(`${typed}\r\ncontent-length: 2`)}{}${smuggled}`);
      expect(body).not.toContain('live');
    });
  });

  it.each(['gzip', 'deflate', 'br', 'zstd', 'identity, gzip', 'x'])('R5: encoded as %s is 415', async (encoding) => {
    const { status, body } = await app.rest('conversations.list', gzipSync('{}'), {
      token,
      headers: { 'content-encoding': encoding },
    });
    expect([status, body.message]).toEqual([415, expect.any(String)]);
  });

  it('R6: in bad UTF-8 is 400', async () => {
    for (const bytes of [[0xff], [0xc0, 0x80], [0xed, 0xa0, 0x80], [0xf4, 0x90, 0x80, 0x80], [0xe2, 0x82]]) {
      const text = Buffer.concat([Buffer.from('{"x":"'), Buffer.from(bytes), Buffer.from('"}')]);
      const { status, body } = await app.rest('conversations.list', text, { token });
      expect([status, body]).toEqual([400, { message: expect.stringContaining('UTF-8') }]);
    }
  });

  describe('R13: as', () => {
    it.each([
      'text/plain',
      'application/xml',
      'application/x-www-form-urlencoded',
      'multipart/form-data; boundary=x',
      'application/json5',
      'application/jsonp',
      'text/json',
      'application/vnd.api+json',
      'application/json; charset=utf-16',
      'application/json; charset=iso-8859-1',
      'application/json; charset="utf-7"',
      'application/json, text/plain',
      '*/*',
      'x',
      '',
    ])('%j is 415, whoever asks', async (type) => {
      for (const name of names) {
        const answer = await raw(
          `POST /${name} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-type: ${type}\r\ncontent-length: 2\r\n\r\n{}`,
        );
        expect([name, answer.status, JSON.parse(answer.body).message]).toEqual([name, 415, expect.any(String)]);
      }
    });

    it('nothing at all is 415 with a body, and fine without one', async () => {
      expect((await raw(`${head('content-length: 2')}{}`)).status).toBe(415);
      expect((await raw(head('content-length: 0'))).status).toBe(200);
      expect((await raw(head('x: y'))).status).toBe(200);
      expect((await raw(head('content-type: text/plain\r\ncontent-length: 0'))).status).toBe(200);
    });

    it.each([
      'application/json',
      'Application/JSON',
      'application/json;charset=UTF-8',
      'application/json; charset="utf-8"',
    ])('%j is read', async (type) => {
      expect((await raw(`${head(`content-type: ${type}\r\ncontent-length: 2`)}{}`)).status).toBe(200);
    });
  });

  describe('R15: with headers that are', () => {
    it.each<[string, () => string]>([
      ['100 kB in one', () => `x: ${'x'.repeat(100_000)}`],
      [
        '100 kB in many',
        () => Array.from({ length: 100 }, (_, index) => `x${index}: ${'x'.repeat(1_000)}`).join('\r\n'),
      ],
      ['2,000', () => Array.from({ length: 2_000 }, (_, index) => `x${index}: y`).join('\r\n')],
      ['201 of one name', () => Array(201).fill('x: y').join('\r\n')],
    ])('%s is 431', async (_what, lines) => {
      for (const path of ['/users.login', '/graphql', '/health/live', '/none']) {
        expect([path, (await raw(head(lines(), path))).status]).toEqual([path, 431]);
      }
    });

    it('no headers at all is 400', async () => {
      for (const text of [
        '\r\n\r\n\r\nx',
        'POST\r\n\r\n',
        'POST /users.login\r\n\r\n',
        'POST /users.login HTTP/3.0\r\n\r\n',
        Buffer.from([0x16, 3, 1, 0]),
      ]) {
        expect((await raw(text)).status).toBe(400);
      }
    });

    it('folded, or with a line end inside, is 400', async () => {
      for (const lines of ['x: a\r\n b', 'x: a\rb', 'x: a\0b', 'x y: a', ': a', 'x']) {
        expect([lines, (await raw(head(lines))).status]).toEqual([lines, 400]);
      }
    });
  });
});
