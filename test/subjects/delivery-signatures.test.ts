import { createHmac } from 'node:crypto';
import { beforeAll, describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { Webhook } from 'standardwebhooks';
import { type ActionCall, type ActionEndpoint, startActionEndpoint, success } from '../support/action-endpoint.ts';
import { type App, type Json, type MadeSource, startApp } from '../support/app.ts';
import { send, settled } from '../support/sending.ts';
import { until } from '../support/until.ts';

describe('the signatures of an action call', () => {
  let endpoint: ActionEndpoint;
  let app: App;
  let admin: string;
  let clock = Date.now();
  beforeAll(async () => {
    endpoint = await startActionEndpoint();
    app = await startApp({
      settings: { retryTimeScale: 0.001, outboundAllow: [endpoint.hostPort] },
      now: () => new Date(clock),
    });
    admin = (await app.make.admin()).token;
  });

  const airySignature = (token: string, raw: Buffer) => createHmac('sha256', token).update(raw).digest('hex');
  const standardHeaders = ({ headers }: ActionCall) => headers as Record<string, string>;
  /** What a receiver with the reference library makes of it; throws when it does not hold. */
  const verified = (secret: string, call: ActionCall): Json =>
    new Webhook(secret).verify(call.raw.toString(), standardHeaders(call));

  function expectSigned(call: ActionCall, source: MadeSource): void {
    expect(call.headers['x-airy-content-signature']).toBe(airySignature(source.token, call.raw));
    expect(call.headers['x-airy-content-signature']).toMatch(/^[0-9a-f]{64}$/);
    expect(verified(source.signingSecret, call)).toEqual(call.body);
  }

  it('hold over the exact bytes of 200 bodies of any characters (H)', async () => {
    const route = endpoint.route();
    const source = await app.make.source({ actionEndpoint: route.url });
    const conversation = await app.make.conversation({ source });
    const odd = fc.constantFrom(
      '\u2028',
      '\u2029',
      '\ufeff',
      '\u00e9',
      'e\u0301',
      '\u{1f469}\u200d\u{1f680}',
      '"',
      '\\',
      '\\u0041',
      '</script>',
      '\u007f',
      '\u0001',
      '\ufffd',
    );
    const text = fc.oneof(fc.string({ unit: 'binary' }), fc.string({ unit: odd, minLength: 1 }), fc.string());
    const isStorable = (value: unknown) => !/(?<!\\)(?:\\\\)*\\u(?:0000|d[89a-f])/.test(JSON.stringify(value));
    const content = fc
      .oneof(
        fc.record({ text }),
        fc.dictionary(text, fc.jsonValue({ maxDepth: 3 }), { maxKeys: 5 }),
        fc.record({ text, number: fc.double({ noNaN: true, noDefaultInfinity: true }) }),
      )
      .filter(isStorable);
    const contents = fc.sample(content, { numRuns: 200, seed: 20_260_101 });

    const sent: Json[] = [];
    for (const content of contents) sent.push(await send(app, conversation, '', { content }));
    await settled(app, sent.at(-1));
    expect(route.calls).toHaveLength(200);
    for (const call of route.calls) expectSigned(call, source);
    const asStored = new Map(sent.map(({ legacyId, raw }) => [legacyId, raw]));
    for (const call of route.calls) expect(call.body.payload.message.content).toEqual(asStored.get(call.messageId));
  });

  it('do not hold once a byte, the id or the time is another', async () => {
    const route = endpoint.route();
    const source = await app.make.source({ actionEndpoint: route.url });
    await settled(app, await send(app, await app.make.conversation({ source })));
    const call = route.calls[0]!;
    expectSigned(call, source);
    const forged = { ...call, raw: Buffer.from(call.raw.toString().replace('Hello', 'hello')) };
    expect(airySignature(source.token, forged.raw)).not.toBe(call.headers['x-airy-content-signature']);
    expect(() => verified(source.signingSecret, forged)).toThrow();
    for (const name of ['webhook-id', 'webhook-timestamp']) {
      const headers = {
        ...call.headers,
        [name]: name === 'webhook-id' ? 'msg_other' : String(Number(call.headers[name]) + 1),
      };
      expect(() => verified(source.signingSecret, { ...call, headers })).toThrow();
    }
  });

  it('are made anew for each attempt, with its time and the same webhook-id', async () => {
    const route = endpoint.route(({ attempt }) => {
      clock += 7_000;
      return attempt < 3 ? { status: 503 } : success();
    });
    const source = await app.make.source({ actionEndpoint: route.url });
    const message = await settled(app, await send(app, await app.make.conversation({ source })));
    expect(message.deliveryState).toBe('DELIVERED');
    const { calls } = route;
    for (const call of calls) expectSigned(call, source);
    const header = (name: string) => calls.map(({ headers }) => String(headers[name]));
    expect(new Set(header('webhook-id'))).toEqual(new Set([`msg_${message.legacyId}`]));
    const [first, second, third] = header('webhook-timestamp').map(Number);
    expect([second! - first!, third! - second!]).toEqual([7, 7]);
    expect(new Set(header('webhook-signature')).size).toBe(3);
    expect(new Set(header('x-airy-content-signature')).size).toBe(1);
  });

  describe('when the token of the source is rotated', () => {
    const rotate = async ({ sourceId }: MadeSource): Promise<MadeSource> => {
      const { rotateSourceToken } = await app.data(
        'mutation ($input: SourceInput!) { rotateSourceToken(input: $input) { token signingSecret } }',
        { input: { sourceId } },
        admin,
      );
      return { sourceId, ...rotateSourceToken };
    };

    it('the old token ends at once, the new one signs, and both secrets do for a day', async () => {
      const route = endpoint.route();
      const old = await app.make.source({ actionEndpoint: route.url });
      const conversation = await app.make.conversation({ source: old });
      const fresh = await rotate(old);
      expect(fresh.token).not.toBe(old.token);
      expect(fresh.signingSecret).toMatch(/^whsec_[A-Za-z0-9+/]+=*$/);

      const message = app.make.webhookMessage(conversation.place);
      const refused = await app.rest('sources.webhook', { messages: [message] }, { token: old.token });
      expect([refused.status, refused.text]).toEqual([403, '']);
      expect((await app.rest('sources.webhook', { messages: [message] }, { token: fresh.token })).status).toBe(200);

      await settled(app, await send(app, conversation));
      const call = route.calls[0]!;
      expectSigned(call, fresh);
      expect(verified(old.signingSecret, call)).toEqual(call.body);
      expect(String(call.headers['webhook-signature'])).toMatch(/^v1,\S+ v1,\S+$/);

      clock += 86_400_000 + 1_000;
      const { token } = await app.make.user({ role: 'ADMIN' });
      const sent = await send(app, conversation, 'a day later', { token });
      await until(async () => route.callsOf(sent.legacyId).length > 0);
      clock -= 86_400_000 + 1_000;
      const later = route.calls[1]!;
      expect(String(later.headers['webhook-signature'])).toMatch(/^v1,\S+$/);
      expect(later.headers['x-airy-content-signature']).toBe(airySignature(fresh.token, later.raw));
    });
  });
});
