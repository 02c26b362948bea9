import { connect } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { type App, startApp } from '../support/app.ts';

describe('L: headers', () => {
  let app: App;
  beforeAll(async () => {
    app = await startApp();
  });
  afterAll(() => app.stop());

  const paths = [
    '/',
    '/graphiql',
    '/assets/none.js',
    '/graphql',
    '/health/live',
    '/health/ready',
    '/conversations.list',
    '/none',
    '//x',
    '/%2e',
  ];

  it.each(['GET', 'POST', 'PUT', 'OPTIONS'])(
    'of every answer to %s tell browsers not to guess, and nobody what we run',
    async (method) => {
      for (const path of paths) {
        const response = await fetch(`${app.url}${path}`, { method, redirect: 'manual' });
        const text = await response.text();
        expect([path, response.headers.get('x-content-type-options')]).toEqual([path, 'nosniff']);
        const names = [...response.headers.keys()];
        for (const name of [
          'x-powered-by',
          'server',
          'set-cookie',
          'via',
          'x-version',
          'access-control-allow-origin',
        ]) {
          expect([path, names.includes(name)]).toEqual([path, false]);
        }
        expect(text).not.toMatch(/fastify|node\.js|express|\bat .+:\d+:\d+/i);
      }
    },
  );

  it('of what is no HTTP tell browsers not to guess, too', async () => {
    for (const text of ['nonsense\r\n\r\n', `GET / HTTP/1.1\r\nhost: localhost\r\nx: ${'x'.repeat(20_000)}\r\n\r\n`]) {
      const answer = await new Promise<string>((resolve) => {
        let said = '';
        const socket = connect(Number(new URL(app.url).port), '127.0.0.1', () => socket.write(text));
        socket
          .on('data', (chunk) => (said += chunk))
          .on('error', () => undefined)
          .on('close', () => resolve(said));
      });
      expect(answer).toMatch(/^HTTP\/1\.1 4(00|31) /);
      expect(answer.toLowerCase()).toContain('x-content-type-options: nosniff');
    }
  });

  it('open nothing to pages of other origins', async () => {
    const headers = { origin: 'https://evil.example', 'access-control-request-method': 'POST' };
    for (const method of ['OPTIONS', 'POST']) {
      const response = await fetch(`${app.url}/conversations.list`, { method, headers });
      await response.text();
      expect([...response.headers.keys()].filter((name) => name.startsWith('access-control'))).toEqual([]);
    }
  });

  it('open what CORS_ORIGINS names, and no more', async () => {
    const own = await startApp({ database: app.database, settings: { corsOrigins: ['https://inbox.example'] } });
    const allowed = async (origin: string) => {
      const response = await fetch(`${own.url}/conversations.list`, {
        method: 'OPTIONS',
        headers: { origin, 'access-control-request-method': 'POST' },
      });
      await response.text();
      return [
        response.headers.get('access-control-allow-origin'),
        response.headers.get('access-control-allow-credentials'),
      ];
    };
    expect(await allowed('https://inbox.example')).toEqual(['https://inbox.example', null]);
    for (const origin of [
      'https://evil.example',
      'null',
      'https://inbox.example.evil.example',
      'http://inbox.example',
    ]) {
      expect(await allowed(origin)).toEqual([null, null]);
    }
    await own.stop();
  });

  it('and body of the health routes tell anonymous callers no detail', async () => {
    for (const [path, body] of [
      ['/health/live', { status: 'live' }],
      ['/health/ready', { status: 'ready' }],
    ] as const) {
      const response = await fetch(`${app.url}${path}`);
      expect([response.status, await response.json()]).toEqual([200, body]);
    }
  });
});
