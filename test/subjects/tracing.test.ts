import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { GatewayProcess } from '../faults/gateway-process.ts';
import { type ActionEndpoint, startActionEndpoint } from '../support/action-endpoint.ts';
import { type App, startApp } from '../support/app.ts';
import { openSocket } from '../support/graph-socket.ts';
import { send, settled } from '../support/sending.ts';
import { type ReceivedSpan, startSpanReceiver } from '../support/span-receiver.ts';
import { until } from '../support/until.ts';

const hex = (bytes: number) => randomBytes(bytes).toString('hex');
const canary = (what: string) => `canary-${what}-${hex(8)}`;

describe('traces', () => {
  let receiver: Awaited<ReturnType<typeof startSpanReceiver>>;
  let endpoint: ActionEndpoint;
  let app: App;
  const find = (test: (span: ReceivedSpan) => boolean) => until(async () => receiver.spans.find(test), 10_000);
  const below = (parent: ReceivedSpan, name: RegExp) =>
    find((span) => span.parentSpanId === parent.spanId && name.test(span.name));

  beforeAll(async () => {
    receiver = await startSpanReceiver();
    Object.assign(process.env, {
      OTEL_EXPORTER_OTLP_ENDPOINT: receiver.url,
      OTEL_EXPORTER_OTLP_PROTOCOL: 'http/json',
      OTEL_BSP_SCHEDULE_DELAY: '50',
    });
    endpoint = await startActionEndpoint();
    app = await startApp({ settings: { otlpEndpoint: receiver.url, outboundAllow: [endpoint.hostPort] } });
  });
  afterAll(async () => {
    await app.stop();
    receiver.close();
  });

  it('follow a webhook from its caller down to the statements of its transaction', async () => {
    const source = await app.make.source();
    const { sourceChannelId } = await app.make.channel(source);
    const [traceId, callerId] = [hex(16), hex(8)];
    await app.rest(
      'sources.webhook',
      { messages: [app.make.webhookMessage({ source_channel_id: sourceChannelId })] },
      { token: source.token, headers: { traceparent: `00-${traceId}-${callerId}-01` } },
    );

    const request = await find((span) => span.traceId === traceId && span.name === 'POST /sources.webhook');
    expect(request.parentSpanId).toBe(callerId);
    expect(request.attributes).toMatchObject({ 'http.route': '/sources.webhook', 'http.response.status_code': '200' });
    const operation = await below(request, /^mutation ingest$/);
    const group = await below(operation, /^ingest group$/);
    const statement = await find(
      (span) =>
        span.parentSpanId === group.spanId && /insert into message/.test(String(span.attributes['db.query.text'])),
    );
    expect(statement).toMatchObject({ name: 'with', traceId });
  });

  it('show a list as its request, its operation and its statements', async () => {
    const { token } = await app.make.admin();
    const traceId = hex(16);
    const headers = { traceparent: `00-${traceId}-${hex(8)}-01` };
    await app.rest('conversations.list', {}, { token, headers });
    const request = await find((span) => span.traceId === traceId && span.name === 'POST /conversations.list');
    const operation = await below(request, /^query conversations$/);
    await below(operation, /^(select|with)$/);
  });

  it('follow a delivery: the work of its lane, the call, the statements of its result', async () => {
    const source = await app.make.source({ actionEndpoint: endpoint.route().url });
    await settled(app, await send(app, await app.make.conversation({ source })));
    const call = await find((span) => span.name === 'call POST');
    expect(call.attributes).toEqual({ 'server.address': endpoint.hostPort });
    const lane = await find((span) => span.spanId === call.parentSpanId);
    expect(lane).toMatchObject({ name: 'lane conversation', parentSpanId: '' });
    await below(lane, /^with$/);
  });

  it('link what shares one transaction', async () => {
    const source = await app.make.source();
    const { sourceChannelId } = await app.make.channel(source);
    const message = () => app.make.webhookMessage({ source_channel_id: sourceChannelId });
    const isShared = (span: ReceivedSpan) => span.name === 'ingest group' && span.links.length > 0;
    // Whether two of them meet is up to the machine: they are sent again until some have.
    const shared = await until(async () => {
      await Promise.all(Array.from({ length: 40 }, () => app.make.webhook(source, { messages: [message()] })));
      return receiver.spans.find(isShared);
    });
    expect(shared.links).not.toContain(shared.traceId);
  });

  it('leave out those that their caller does not record', async () => {
    const { token } = await app.make.admin();
    const ids = [hex(16), hex(16)];
    for (const [index, id] of ids.entries()) {
      await app.rest('conversations.list', {}, { token, headers: { traceparent: `00-${id}-${hex(8)}-0${index}` } });
    }
    await find((span) => span.traceId === ids[1]);
    expect(receiver.spans.filter((span) => span.traceId === ids[0])).toEqual([]);
  });

  it('begin anew for what comes over a socket, and for the events that subscribers hear of', async () => {
    const { token } = await app.make.admin();
    const socket = await openSocket(app.wsUrl, token);
    const id = socket.start('subscription { inbox { __typename } }');
    await socket.first('{ viewer { id } }');
    await app.make.conversation();
    await until(async () => socket.about(id).length > 0);
    socket.close();
    expect(await find((span) => span.name === 'subscription inbox')).toMatchObject({ parentSpanId: '' });
    expect(await find((span) => span.name === 'query viewer')).toMatchObject({ parentSpanId: '' });
  });

  it('tell nothing secret and nothing of what messages say', async () => {
    const said = canary('text');
    const path = canary('path');
    const name = canary('name');
    const source = await app.make.source({ actionEndpoint: `http://${endpoint.hostPort}/${path}?key=${path}` });
    const channel = await app.make.channel(source);
    const conversation = await app.make.conversation({
      source,
      channel,
      displayName: name,
      messages: [{ content: { text: said } }],
    });
    const { token } = await app.make.admin();
    const user = { email: `${canary('mail')}@example.com`, password: canary('password') };
    const before = receiver.spans.length;
    await app.rest('conversations.list', { filters: `display_name:"${name}"` }, { token });
    await app.graphql(`{ conversations(filter: "display_name:${name}") { nodes { id } } }`, {}, { token });
    await app.rest('users.login', user);
    await app.rest('users.login', { ...user, email: `${user.email}\u0000` });
    expect((await settled(app, await send(app, conversation, said))).deliveryState).toBe('FAILED');
    await fetch(`${app.url}/${path}?token=${token}`).then((answer) => answer.text());
    await find((span) => span.name === 'GET none');

    await until(async () => receiver.spans.slice(before).filter((span) => span.name === 'call POST').length > 0);
    const failed = await find(({ name: of, isError }) => of === 'mutation logIn' && isError);
    expect(failed.attributes['error.type']).toBe('UNAUTHENTICATED');
    const sent = receiver.texts.join('\n');
    const secrets = [token, source.token, source.signingSecret, user.password, user.email, app.core.settings.jwtSecret];
    for (const secret of [said, path, name, ...secrets]) expect(sent).not.toContain(secret);
    expect(sent).not.toContain('canary');
  });

  it('tell of a call that failed by its kind alone', async () => {
    const source = await app.make.source({ actionEndpoint: 'http://inside.example/hook' });
    const { id } = await send(app, await app.make.conversation({ source }));
    const call = await find(
      ({ name, attributes }) => name === 'call POST' && attributes['server.address'] === 'inside.example',
    );
    expect(id).toBeDefined();
    expect([call.isError, call.attributes['error.type']]).toEqual([true, 'dns']);
  });

  it('are not handed on to those whom we call', async () => {
    const route = endpoint.route();
    const source = await app.make.source({ actionEndpoint: route.url });
    await settled(app, await send(app, await app.make.conversation({ source })));
    expect(Object.keys(route.calls[0]!.headers)).not.toContain('traceparent');
  });

  it('warn, once a minute, when nobody takes them', async () => {
    const gone = await startSpanReceiver();
    gone.close();
    const gateway = await GatewayProcess.start({
      databaseUrl: app.database.url,
      env: {
        OTEL_EXPORTER_OTLP_ENDPOINT: gone.url,
        OTEL_EXPORTER_OTLP_PROTOCOL: 'http/json',
        OTEL_BSP_SCHEDULE_DELAY: '50',
        LOG_LEVEL: 'warn',
      },
    });
    const ask = () => fetch(`${gateway.url}/conversations.list`, { method: 'POST' });
    await until(async () => (await ask()).status === 403 && gateway.output.includes('traces cannot be sent'), 30_000);
    expect(gateway.output.split('traces cannot be sent')).toHaveLength(2);
    await gateway.terminate();
  });

  it('say what to install where their package is missing, as in the usual image', async () => {
    const hook = `import { registerHooks } from 'node:module';
      registerHooks({ resolve(name, context, next) {
        if (name !== '@opentelemetry/sdk-node') return next(name, context);
        throw Object.assign(new Error('not here'), { code: 'ERR_MODULE_NOT_FOUND' });
      } });`;
    const gateway = await GatewayProcess.prepare({
      databaseUrl: app.database.url,
      env: { OTEL_EXPORTER_OTLP_ENDPOINT: receiver.url },
      nodeArgs: ['--import', `data:text/javascript,${encodeURIComponent(hook)}`],
    });
    gateway.launch();
    expect((await gateway.ended()).code).toBe(1);
    expect(gateway.output.trim()).toMatch(
      /^OTEL_EXPORTER_OTLP_ENDPOINT .*npm install .*@opentelemetry\/sdk-node@\d+\.\d+\.\d+$/,
    );
  });

  it('need the very version of the package that development has', () => {
    const read = (name: string) => readFileSync(new URL(`../../${name}`, import.meta.url), 'utf8');
    const { devDependencies } = JSON.parse(read('package.json')) as { devDependencies: Record<string, string> };
    const [, version] = /sdkVersion = '([^']+)'/.exec(read('src/server/tracing.ts'))!;
    expect(version).toBe(devDependencies['@opentelemetry/sdk-node']);
  });
});
