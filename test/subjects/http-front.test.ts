import { type IncomingMessage, request } from 'node:http';
import { connect } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { startApp } from '../support/app.ts';

type App = Awaited<ReturnType<typeof startApp>>;

describe('the HTTP front', () => {
  let app: App;
  beforeAll(async () => {
    app = await startApp();
  });
  afterAll(() => app.stop());

  /** Sends `megabytes` of blanks in chunks, whatever is answered meanwhile. */
  function pour(path: string, megabytes: number): Promise<{ status: number; sent: number }> {
    return new Promise((resolve, reject) => {
      let sent = 0;
      const chunk = Buffer.alloc(65_536, 32);
      const sending = request(`${app.url}${path}`, { method: 'POST', headers: { 'content-type': 'application/json' } });
      sending.on('response', (response) =>
        response.resume().on('end', () => resolve({ status: response.statusCode!, sent })),
      );
      sending.on('error', reject);
      const more = () => {
        while (sent < megabytes * 1024 * 1024 && !sending.destroyed) {
          sent += chunk.length;
          if (!sending.write(chunk)) return void sending.once('drain', more);
        }
        sending.end();
      };
      more();
    });
  }

  it.each(['/graphql', '/sources.webhook', '/nothing.here'])(
    'answers an endless body at %s before it has come',
    async (path) => {
      const { status, sent } = await pour(path, 100);
      expect(status).toBe(path === '/nothing.here' ? 404 : 413);
      expect(sent).toBeLessThan(40 * 1024 * 1024);
    },
  );

  it('does not look at the type of a body that is not there', async () => {
    for (const type of ['text/plain', 'no type at all']) {
      const response = await fetch(`${app.url}/users.login`, { method: 'POST', headers: { 'content-type': type } });
      expect(response.status).toBe(400);
    }
    const response = await fetch(`${app.url}/users.login`, {
      method: 'POST',
      headers: { 'content-type': 'no type at all' },
      body: '{}',
    });
    expect(response.status).toBe(415);
  });

  it('answers other methods of a row with 405 and the one to use', async () => {
    for (const method of ['GET', 'PUT', 'DELETE', 'PATCH', 'OPTIONS']) {
      const response = await fetch(`${app.url}/users.login`, { method });
      expect([method, response.status, response.headers.get('allow')]).toEqual([method, 405, 'POST']);
    }
  });

  it('takes one spelling of an address only', async () => {
    for (const path of ['//users.login', '/users.login/', '/users%2elogin', '/users.login%00', '/Users.login']) {
      const response = await fetch(`${app.url}${path}`, { method: 'POST' });
      expect([path, response.status]).toEqual([path, 404]);
    }
  });

  /** Sends path and headers as they are; `fetch` would tidy the one and refuse to set the other. */
  function ask(url: string, path: string, headers: Record<string, string> = {}) {
    return new Promise<{ status: number; body: string }>((resolve, reject) => {
      const { hostname, port } = new URL(url);
      const asking = request({ hostname, port, path, headers });
      const answer = (response: IncomingMessage) => {
        let body = '';
        response.setEncoding('utf8').on('data', (text: string) => {
          body += text;
        });
        response.on('end', () => resolve({ status: response.statusCode!, body }));
      };
      asking.on('response', answer).on('upgrade', (response, socket) => {
        socket.destroy();
        answer(response);
      });
      asking.on('error', reject).end();
    });
  }

  it('answers an asset that is not there as any other address, whatever lies on the disk', async () => {
    const usual = await ask(app.url, '/nothing.here');
    expect(usual.status).toBe(404);
    for (const name of [
      '../../../../../../etc/passwd',
      '../../../../../../etc/none',
      '../graphiql/index.html',
      '..',
      '.',
      '',
      'none.js',
    ])
      expect([name, await ask(app.url, `/assets/${name}`)]).toEqual([name, usual]);
  });

  describe('on a loopback address', () => {
    const upgrade = {
      connection: 'upgrade',
      upgrade: 'websocket',
      'sec-websocket-version': '13',
      'sec-websocket-key': 'x3JJHMbDL1EzLkh9GBhXDw==',
    };

    it.each([
      'evil.example',
      'evil.example:80',
      '127.0.0.1.evil.example',
      'localhost@evil.example',
      '10.0.0.1',
      '[::2]:1',
    ])('refuses the name "%s", which may be bound to it by anybody', async (host) => {
      for (const [path, headers] of [
        ['/health/live', {}],
        ['/graphql', upgrade],
      ] as const) {
        const { status, body } = await ask(app.url, path, { ...headers, host });
        expect([path, status]).toEqual([path, 421]);
        expect(JSON.parse(body)).toEqual({ message: expect.stringContaining('PUBLIC_URL') });
      }
    });

    it.each(['127.0.0.1', 'localhost:1', 'LOCALHOST', '[::1]:4000'])('answers to %s', async (host) => {
      expect((await ask(app.url, '/health/live', { host })).status).toBe(200);
    });

    it('answers to the name of PUBLIC_URL', async () => {
      const own = await startApp({ settings: { publicUrl: 'https://inbox.example' } });
      expect((await ask(own.url, '/health/live', { host: 'inbox.example' })).status).toBe(200);
      expect((await ask(own.url, '/health/live', { host: 'evil.example' })).status).toBe(421);
      await own.stop();
    });
  });

  it('tells nothing about itself and lets no other origin in', async () => {
    const response = await fetch(`${app.url}/health/live`, { headers: { origin: 'https://evil.example' } });
    expect(response.headers.get('x-content-type-options')).toBe('nosniff');
    for (const name of ['x-powered-by', 'server', 'access-control-allow-origin'])
      expect(response.headers.get(name)).toBeNull();
  });

  it('lets the configured origins in, and no others', async () => {
    const own = await startApp({ settings: { corsOrigins: ['https://inbox.example'] } });
    const allowed = async (origin: string) => {
      const headers = {
        origin,
        'access-control-request-method': 'POST',
        'access-control-request-headers': 'content-type',
      };
      return (await fetch(`${own.url}/graphql`, { method: 'OPTIONS', headers })).headers.get(
        'access-control-allow-origin',
      );
    };
    expect(await allowed('https://inbox.example')).toBe('https://inbox.example');
    expect(await allowed('https://evil.example')).toBeNull();
    await own.stop();
  });

  it('logs neither tokens nor the text of a query', async () => {
    await fetch(`${app.url}/graphql?query={viewer{id%20canaryfield}}`, {
      headers: { authorization: 'Bearer canary.canary.canary' },
    });
    expect(app.logged.join('')).not.toContain('canary');
  });

  it('stops at once for silent connections, and finishes what runs', async () => {
    const own = await startApp();
    const silent = connect(Number(new URL(own.url).port), '127.0.0.1').on('error', () => undefined);
    await new Promise((resolve) => silent.once('connect', resolve));
    const body = '{"query":"{ __typename }"}';
    const running = request(`${own.url}/graphql`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', 'content-length': body.length, expect: '100-continue' },
    });
    running.flushHeaders();
    await new Promise((resolve) => running.once('continue', resolve));
    const startedAt = performance.now();
    const stopped = own.stop();
    running.end(body);
    const status = await new Promise((resolve) =>
      running.once('response', (response) => resolve(response.resume().statusCode)),
    );
    await stopped;
    expect(status).toBe(200);
    expect(performance.now() - startedAt).toBeLessThan(5_000);
    await expect(fetch(`${own.url}/health/live`)).rejects.toThrow();
  });
});
