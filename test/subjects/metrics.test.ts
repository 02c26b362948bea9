import { request } from 'node:http';
import { connect } from 'node:net';
import { text } from 'node:stream/consumers';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import pg from 'pg';
import { type ActionEndpoint, startActionEndpoint, success } from '../support/action-endpoint.ts';
import { type App, startApp } from '../support/app.ts';
import { openSocket } from '../support/graph-socket.ts';
import { figure, type Sample, scrape } from '../support/metrics.ts';
import { send, settled } from '../support/sending.ts';
import { until } from '../support/until.ts';

describe('the metrics', () => {
  let endpoint: ActionEndpoint;
  let app: App;
  let before: Map<string, Sample[]>;
  /** What a name has grown by since the test began. */
  const grown = (now: Map<string, Sample[]>, name: string, labels?: Record<string, string>) =>
    (figure(now, name, labels) ?? 0) - (figure(before, name, labels) ?? 0);

  beforeAll(async () => {
    endpoint = await startActionEndpoint();
    app = await startApp({ settings: { outboundAllow: [endpoint.hostPort], retryTimeScale: 0.01 } });
    await app.make.admin();
  });
  afterAll(() => app.stop());

  it('counts the messages of a webhook by what became of them', async () => {
    const source = await app.make.source();
    const { sourceChannelId } = await app.make.channel(source);
    const message = (of = {}) => app.make.webhookMessage({ source_channel_id: sourceChannelId, ...of });
    const [first, second] = [message(), message()];
    before = await scrape(app.url);
    await app.make.webhook(source, { messages: [first, second] });
    await app.make.webhook(source, { messages: [second, message()] });
    const bad = [message({ source_channel_id: 'nobody made this' }), message(), message()];
    expect((await app.rest('sources.webhook', { messages: bad }, { token: source.token })).status).toBe(400);

    const now = await scrape(app.url);
    for (const [result, count] of Object.entries({ accepted: 3, duplicate: 1, rejected: 3 })) {
      expect([result, grown(now, 'parley_ingest_messages_total', { result })]).toEqual([result, count]);
    }
  });

  it('measures requests by route and status, and operations by the field that they run', async () => {
    const { token } = await app.make.admin();
    before = await scrape(app.url);
    await app.rest('conversations.list', {}, { token });
    await app.rest('conversations.list', {}, {});
    await app.graphql('query WhateverTheClientCallsIt { mine: viewer { id } }', {}, { token });
    await app.graphql('{ __typename viewer { id } }', {}, { token });
    await fetch(`${app.url}/an/address/that/nobody/has?token=canary`).then((answer) => answer.text());

    const now = await scrape(app.url);
    const requests = (labels: Record<string, string>) =>
      grown(now, 'parley_http_request_duration_seconds_count', labels);
    expect(requests({ route: '/conversations.list', status: '200' })).toBe(1);
    expect(requests({ route: '/conversations.list', status: '403' })).toBe(1);
    expect(requests({ route: '/graphql', status: '200' })).toBe(2);
    expect(requests({ route: 'none', status: '404' })).toBe(1);
    const operations = (operation: string) =>
      grown(now, 'parley_graphql_operation_duration_seconds_count', { operation });
    expect(operations('conversations')).toBe(1);
    expect(operations('viewer')).toBe(1);
    expect(operations('other')).toBe(1);
    const known = now.get('parley_graphql_operation_duration_seconds_count')!.map(({ labels }) => labels.operation);
    expect(known).not.toContain('WhateverTheClientCallsIt');
  });

  it('counts the errors of operations by their code, whichever way they came in', async () => {
    const { token } = await app.make.admin();
    before = await scrape(app.url);
    await app.graphql('{ nobodyKnowsThis }', {}, { token });
    await app.graphql('{ viewer { id } }');
    await app.rest('conversations.info', { conversation_id: '00000000-0000-4000-8000-000000000000' }, { token });
    await app.rest('users.login', { email: 'nobody@example.com', password: 'wrong horse' });
    await app.graphql('{', {}, { token });

    const now = await scrape(app.url);
    const errors = (code: string) => grown(now, 'parley_graphql_errors_total', { code });
    expect(errors('GRAPHQL_VALIDATION_FAILED')).toBe(1);
    expect(errors('GRAPHQL_PARSE_FAILED')).toBe(1);
    expect(errors('UNAUTHENTICATED')).toBe(2);
  });

  it('counts attempts to deliver by source and outcome', async () => {
    const route = endpoint.route(({ attempt }) => (attempt === 1 ? { status: 503 } : success()));
    const source = await app.make.source({ actionEndpoint: route.url });
    const dead = await app.make.source({ actionEndpoint: endpoint.route(() => ({ status: 404 })).url });
    const failed = await send(app, await app.make.conversation({ source: dead }));
    expect((await settled(app, failed)).deliveryState).toBe('FAILED');
    const message = await send(app, await app.make.conversation({ source }));
    const deliveries = async (sourceId: string, result: string) =>
      figure(await scrape(app.url), 'parley_deliveries_total', { source: sourceId, result });
    await settled(app, message);

    await until(async () => (await deliveries(source.sourceId, 'delivered')) === 1);
    expect(await deliveries(source.sourceId, 'retried')).toBe(1);
    expect(await deliveries(dead.sourceId, 'failed')).toBe(1);
  });

  it('knows the sockets that are open and the events that they were given', async () => {
    const { token } = await app.make.admin();
    const conversation = await app.make.conversation();
    before = await scrape(app.url);
    const sockets = await Promise.all([openSocket(app.wsUrl, token), openSocket(app.wsUrl, token)]);
    const ids = sockets.map((socket) => socket.start('subscription { inbox { __typename } }'));
    await sockets[0]!.first('{ viewer { id } }');
    await sockets[1]!.first('{ viewer { id } }');
    await app.rest('conversations.read', { conversation_id: conversation.id }, { token });
    await until(async () => sockets.every((socket, index) => socket.about(ids[index]!).length > 0));

    const now = await scrape(app.url);
    expect(figure(now, 'parley_sockets_open')).toBe(2);
    expect(grown(now, 'parley_events_delivered_total')).toBe(
      sockets.reduce((sum, socket, index) => sum + socket.about(ids[index]!).length, 0),
    );
    for (const socket of sockets) socket.close();
    await until(async () => figure(await scrape(app.url), 'parley_sockets_open') === 0);
  });

  it('tells how many jobs wait, how old the oldest is, and how far the feed is behind', async () => {
    const client = new pg.Client({ connectionString: app.database.url });
    await client.connect();
    try {
      // A lane of a group that has all its leases out waits; one that is not due does not.
      await client.query(`insert into lane (kind, id, lane_group, due_at, leased_until)
        select 'nobody-works-these', gen_random_uuid(), '11111111-1111-4111-8111-111111111111', now() - interval '90 s',
          case when n <= 8 then now() + interval '1 hour' end from generate_series(1, 10) n`);
      await client.query(`insert into lane (kind, id, lane_group, due_at)
        select 'nobody-works-these', gen_random_uuid(), '11111111-1111-4111-8111-111111111111', now() + interval '1 hour'`);
      await client.query(`begin; insert into event (kind, payload) values ('tag.deleted', '{"tagId":"x"}')`);
      const other = await app.make.conversation();
      expect(other.messageIds).toHaveLength(1);
      await until(async () => {
        const now = await scrape(app.url);
        return figure(now, 'parley_jobs_waiting') === 2 && figure(now, 'parley_event_lag_seconds')! > 0;
      });
      const age = figure(await scrape(app.url), 'parley_job_oldest_age_seconds')!;
      expect(age).toBeGreaterThanOrEqual(90);
      expect(age).toBeLessThan(300);
    } finally {
      await client.query('rollback');
      await client.query(`delete from lane where kind = 'nobody-works-these'`);
      await client.end();
    }
    await until(async () => {
      const now = await scrape(app.url);
      return figure(now, 'parley_jobs_waiting') === 0 && figure(now, 'parley_event_lag_seconds') === 0;
    });
  });

  it('tells the pool, the process and the lag of its event loop', async () => {
    const now = await scrape(app.url);
    expect(figure(now, 'parley_db_pool_size')).toBe(6);
    expect(figure(now, 'parley_db_pool_in_use')).toBeLessThanOrEqual(6);
    expect(figure(now, 'parley_db_pool_waiting')).toBe(0);
    expect(figure(now, 'parley_password_hashes_waiting')).toBe(0);
    expect(figure(now, 'parley_process_resident_memory_bytes')).toBeGreaterThan(10_000_000);
    expect(figure(now, 'parley_nodejs_eventloop_lag_p99_seconds')).toBeDefined();
  });

  it('is plain text of Prometheus, with every name under one prefix and no secret', async () => {
    const answer = await fetch(`${app.url}/metrics`);
    expect(answer.headers.get('content-type')).toMatch(/^text\/plain; version=0\.0\.4/);
    const text = await answer.text();
    const names = text.split('\n').flatMap((line) => /^(\w+)/.exec(line)?.[1] ?? []);
    expect(names.filter((name) => !name.startsWith('parley_'))).toEqual([]);
    expect(text).not.toContain('canary');
    expect(text).not.toContain((await app.make.admin()).token);
  });
});

describe('the metrics of a gateway whose database does not answer', () => {
  it.each(['fails', 'hangs'])('tell what the process knows by itself when it %s', async (how) => {
    const app = await startApp({ settings: { role: 'gateway' } });
    const client = new pg.Client({ connectionString: app.database.url });
    await client.connect();
    try {
      await client.query('begin');
      if (how === 'hangs') await client.query('lock table lane in access exclusive mode');
      else await client.query('alter table lane rename to lane_that_went; commit');
      const now = await scrape(app.url);
      expect(figure(now, 'parley_jobs_waiting')).toBeUndefined();
      expect(figure(now, 'parley_job_oldest_age_seconds')).toBeUndefined();
      expect(figure(now, 'parley_event_lag_seconds')).toBeUndefined();
      expect(figure(now, 'parley_sockets_open')).toBe(0);
      expect(figure(now, 'parley_db_pool_size')).toBe(6);
      expect(figure(now, 'parley_process_resident_memory_bytes')).toBeGreaterThan(10_000_000);
    } finally {
      await client.end();
    }
  });
});

describe('who may read the metrics', () => {
  let app: App;
  let trusting: App;
  beforeAll(async () => {
    app = await startApp({ settings: { role: 'gateway' } });
    trusting = await startApp({ settings: { role: 'gateway', trustProxy: true } });
  });

  function statusOf(of: App, headers: Record<string, string>): Promise<number> {
    const { hostname, port } = new URL(of.url);
    return new Promise((resolve, reject) => {
      request({ hostname, port, path: '/metrics', headers }, (answer) => {
        answer.resume();
        resolve(answer.statusCode!);
      })
        .on('error', reject)
        .end();
    });
  }

  it.each<[string, Record<string, string>]>([
    ['directly', {}],
    ['by another name of it', { host: 'localhost' }],
    ['with a token that does not hold', { authorization: 'Bearer nonsense' }],
  ])('lets in who asks on the machine %s', async (_how, headers) => {
    expect(await statusOf(app, headers)).toBe(200);
    expect(await statusOf(trusting, headers)).toBe(200);
  });

  it('counts nobody as local who speaks HTTP/1.0, as proxies do that were told nothing', async () => {
    const { hostname, port, host } = new URL(app.url);
    const socket = connect(Number(port), hostname);
    socket.write(`GET /metrics HTTP/1.0\r\nhost: ${host}\r\n\r\n`);
    expect(await text(socket)).toMatch(/^HTTP\/1\.1 401 /);
  });

  it('counts nobody as local who names two hosts', async () => {
    const { hostname, port, host } = new URL(app.url);
    const socket = connect(Number(port), hostname);
    socket.write(`GET /metrics HTTP/1.1\r\nhost: ${host}\r\nhost: example.com\r\nconnection: close\r\n\r\n`);
    expect(await text(socket)).toMatch(/^HTTP\/1\.1 4\d\d /);
  });

  it.each<[string, Record<string, string>]>([
    ['X-Original-Forwarded-For', { 'x-original-forwarded-for': '203.0.113.7' }],
    ['X-Forwarded-For', { 'x-forwarded-for': '203.0.113.7' }],
    ['X-Forwarded-For that claims loopback', { 'x-forwarded-for': '127.0.0.1' }],
    ['Forwarded', { forwarded: 'for=127.0.0.1' }],
    ['X-Forwarded-Proto', { 'x-forwarded-proto': 'https' }],
    ['X-Real-IP', { 'x-real-ip': '127.0.0.1' }],
    ['Via', { via: '1.1 proxy' }],
  ])(
    'counts nobody as local whose request was handed on with %s, unless TRUST_PROXY says how to read it',
    async (_name, headers) => {
      expect(await statusOf(app, headers)).toBe(401);
      const { token } = await app.make.admin();
      expect(await statusOf(app, { ...headers, authorization: token })).toBe(200);
    },
  );

  it.each<[string, number]>([
    ['127.0.0.1', 200],
    ['::1, 127.0.0.2', 200],
    ['203.0.113.7', 401],
    ['127.0.0.1, 203.0.113.7', 401],
    // The client's own doing, behind two proxies: the last is ours, the first is not.
    ['203.0.113.7, 127.0.0.1', 401],
    ['', 401],
    ['unknown', 401],
  ])('behind a trusted proxy reads X-Forwarded-For "%s" as %d', async (value, status) => {
    expect(await statusOf(trusting, { 'x-forwarded-for': value })).toBe(status);
  });

  it('counts nobody as local who asks by a name from outside: a proxy or a rebound name may stand behind it', async () => {
    const publicUrl = 'https://parley.example.com';
    const known = await startApp({ settings: { role: 'gateway', publicUrl } });
    expect(await statusOf(known, { host: 'parley.example.com' })).toBe(401);
    expect(await statusOf(known, {})).toBe(200);
  });

  it('does not read what a trusted proxy leaves to others', async () => {
    expect(await statusOf(trusting, { forwarded: 'for=127.0.0.1' })).toBe(401);
  });
});
