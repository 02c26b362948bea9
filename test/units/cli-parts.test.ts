import { createHmac } from 'node:crypto';
import { Readable } from 'node:stream';
import { gzipSync } from 'node:zlib';
import { describe, expect, it } from '@jest/globals';
import { doubtOf } from '../../src/cli/action-endpoint.ts';
import { idOfSource } from '../../src/cli/demo.ts';
import { demoBatches } from '../../src/cli/demo-conversations.ts';
import { lineOf } from '../../src/cli/events-tail.ts';
import { parseRetryAfter, refusalOf } from '../../src/cli/gateway-client.ts';
import { openLines } from '../../src/cli/line-reader.ts';
import { sendLines } from '../../src/cli/line-sender.ts';
import { Position } from '../../src/cli/position.ts';
import { openProgress, spokenDuration } from '../../src/cli/progress.ts';
import { printable, shellWord } from '../../src/cli/terminal.ts';
import { openPrinted } from '../support/printed.ts';

const never = new AbortController().signal;

describe('the progress of a sending', () => {
  it('is a bar on a terminal, above which notes stay', async () => {
    const { out, text } = openPrinted();
    const screen = Object.assign(out, { isTTY: true, columns: 100, cursorTo() {}, clearLine() {}, moveCursor() {} });
    const view = openProgress(screen, Date.now() - 10_000);
    view.update({ lines: 10, messages: 50, done: 0.25 });
    view.note('waiting for the gateway');
    view.update({ lines: 30, messages: 150, done: 0.75 });
    view.end();
    expect(text()).toContain('waiting for the gateway\n');
    expect(text()).toContain('%');
  });

  it('is a line now and then elsewhere', () => {
    const { out, text } = openPrinted();
    const view = openProgress(out, Date.now() - 10_000);
    view.update({ lines: 10, messages: 50 });
    view.update({ lines: 11, messages: 55 });
    view.note('waiting for the gateway');
    view.end();
    expect(text()).toMatch(/^10 lines, 50 messages, 1\.0 lines\/s\nwaiting for the gateway\n$/);
  });
});

describe('position of an import', () => {
  it('closes up as soon as the line in between is acknowledged', () => {
    const position = new Position(3, [5, 7]);
    expect([position.has(3), position.has(4), position.has(5)]).toEqual([true, false, true]);
    position.acknowledge(4);
    expect([position.acknowledged, position.beyond]).toEqual([5, [7]]);
    position.acknowledge(6);
    position.acknowledge(2);
    expect([position.acknowledged, position.beyond]).toEqual([7, []]);
  });
});

describe('sending lines', () => {
  it('sends several at once and the lines of one key in the order of the file', async () => {
    const count = 300;
    const sent: number[] = [];
    let most = 0;
    let now = 0;
    const position = new Position();
    await sendLines({
      lines: async function* () {
        for (let number = 1; number <= count; number += 1) yield { number, text: `${number % 7}` };
      },
      position,
      concurrency: 5,
      signal: never,
      prepare: ({ number, text }) => ({
        keys: [text],
        send: async () => {
          now += 1;
          most = Math.max(most, now);
          await new Promise((resolve) => setTimeout(resolve, (number * 7) % 5));
          now -= 1;
          sent.push(number);
        },
      }),
    });
    expect(most).toBe(5);
    expect(position.acknowledged).toBe(count);
    for (let key = 0; key < 7; key += 1) {
      const ofKey = sent.filter((number) => number % 7 === key);
      expect(ofKey).toEqual([...ofKey].sort((a, b) => a - b));
    }
  });

  it('ends at the first fault, sends nothing that waited for it and keeps what was under way', async () => {
    const sent: number[] = [];
    const position = new Position();
    const sending = sendLines({
      lines: async function* () {
        for (let number = 1; number <= 50; number += 1)
          yield { number, text: number === 2 || number === 3 ? 'same' : `${number}` };
      },
      position,
      concurrency: 3,
      signal: never,
      prepare: ({ number, text }) => ({
        keys: [text],
        send: async () => {
          await new Promise((resolve) => setTimeout(resolve, number === 2 ? 1 : 10));
          if (number === 2) throw new Error('line 2 is wrong');
          sent.push(number);
        },
      }),
    });
    await expect(sending).rejects.toThrow('line 2 is wrong');
    expect(sent).not.toContain(3);
    expect(sent.every((number) => position.has(number))).toBe(true);
    expect(position.acknowledged).toBe(1);
  });
});

describe('reading lines', () => {
  const lines = ['{"a":"ä 🙂"}', '', '{"b":"\u2028"}', '{"c":1}'];
  const read = async (stored: Buffer, chunkBytes: number) => {
    const chunks = Array.from({ length: Math.ceil(stored.length / chunkBytes) }, (_, index) =>
      stored.subarray(index * chunkBytes, (index + 1) * chunkBytes),
    );
    const file = await openLines('-', Readable.from(chunks));
    const found: string[] = [];
    for await (const { text } of file.lines(never)) found.push(text);
    expect(file.bytesRead()).toBe(stored.length);
    return found;
  };

  it.each([1, 2, 3, 1000])('gives the same lines for chunks of %d bytes, packed or not', async (chunkBytes) => {
    const text = Buffer.from(lines.join('\n'));
    expect(await read(text, chunkBytes)).toEqual(lines);
    expect(await read(gzipSync(text), chunkBytes)).toEqual(lines);
    expect(await read(Buffer.from(`\ufeff${lines.join('\r\n')}\r\n`), chunkBytes)).toEqual(lines);
  });

  it('says so when a packed file is cut off or the text is not UTF-8', async () => {
    const packed = gzipSync(Buffer.from('x'.repeat(100_000)));
    await expect(read(packed.subarray(0, packed.length - 20), 64)).rejects.toThrow('cannot be read to its end');
    await expect(read(Buffer.from([0x7b, 0xff, 0x0a]), 64)).rejects.toThrow('not UTF-8');
  });
});

describe('action calls', () => {
  const body = Buffer.from('{"type":"message.send"}');
  const nowMs = 1_700_000_000_000;
  const airy = createHmac('sha256', 'token').update(body).digest('hex');
  const secret = `whsec_${Buffer.from('a secret of some length').toString('base64')}`;
  const standard = (at: number) => {
    const key = Buffer.from('a secret of some length');
    const signature = createHmac('sha256', key).update(`id.${at}.`).update(body).digest('base64');
    return { 'webhook-id': 'id', 'webhook-timestamp': `${at}`, 'webhook-signature': `v1,x v1,${signature}` };
  };

  it('are trusted only with the right signatures of the exact bytes', () => {
    const token = 'token';
    expect(doubtOf({ 'x-airy-content-signature': airy }, body, { token }, nowMs)).toBeUndefined();
    expect(doubtOf({}, body, { token }, nowMs)).toMatch('missing');
    expect(doubtOf({ 'x-airy-content-signature': airy }, Buffer.from('{}'), { token }, nowMs)).toMatch('another');
    expect(doubtOf({ 'x-airy-content-signature': airy }, body, { token: 'other' }, nowMs)).toMatch('another token');
    expect(doubtOf({ 'x-airy-content-signature': airy }, body, {}, nowMs)).toMatch('no key');
  });

  it('may be checked by the Standard Webhooks headers too', () => {
    const keys = { signingSecrets: ['whsec_b3RoZXI=', secret] };
    expect(doubtOf(standard(nowMs / 1000), body, keys, nowMs)).toBeUndefined();
    expect(doubtOf(standard(nowMs / 1000 - 600), body, keys, nowMs)).toMatch('not of now');
    expect(doubtOf(standard(nowMs / 1000), body, { signingSecrets: ['whsec_b3RoZXI='] }, nowMs)).toMatch(
      'another secret',
    );
    expect(doubtOf({ ...standard(nowMs / 1000) }, body, { token: 'token', ...keys }, nowMs)).toMatch('Airy');
  });
});

describe('the demo', () => {
  const endsAt = new Date('2026-03-14T10:20:30.000Z');

  it('writes the same two hundred conversations for the same end, all within fourteen days before it', () => {
    const batches = demoBatches(endsAt);
    expect(JSON.stringify(demoBatches(endsAt))).toBe(JSON.stringify(batches));
    const messages = batches.flatMap((batch) => batch.messages);
    expect(new Set(messages.map((message) => message.source_conversation_id)).size).toBe(200);
    expect(new Set(messages.map((message) => message.source_message_id)).size).toBe(messages.length);
    const times = messages.map((message) => Date.parse(message.sent_at));
    expect(Math.max(...times)).toBeLessThanOrEqual(endsAt.getTime());
    expect(Math.min(...times)).toBeGreaterThanOrEqual(endsAt.getTime() - 14 * 86_400_000);
    expect(messages.filter((message) => /[{}]|undefined/.test(message.content.text))).toEqual([]);
  });

  it('keeps ids and words when it ends at another instant', () => {
    const words = (at: Date) =>
      demoBatches(at)
        .flatMap((batch) => batch.messages.map((one) => `${one.source_message_id} ${one.content.text}`))
        .sort();
    expect(words(new Date('2027-01-01T00:00:00.000Z'))).toEqual(words(endsAt));
  });

  it('knows the ids that the gateway makes', () => {
    expect(idOfSource('my-crm-connector', 'conv-1')).toBe('8af3d7f3-8bef-554e-b191-39c1ec6cc88e');
  });
});

describe('what the terminal shows', () => {
  it.each([
    ['plain', 'plain'],
    ['two\nlines\tand \u001b[31mred\u001b[0m', 'two lines and [31mred [0m'],
    ['\u202eright to left', 'right to left'],
    ['x'.repeat(200), `${'x'.repeat(119)}…`],
  ])('%j becomes %j', (text, shown) => expect(printable(text)).toBe(shown));

  it.each([
    [500, '1 s'],
    [59_000, '59 s'],
    [200_000, '3 min 20 s'],
    [7_500_000, '2 h 5 min'],
  ])('%d ms are %s', (ms, shown) => expect(spokenDuration(ms)).toBe(shown));

  it.each([
    ['a.jsonl', 'a.jsonl'],
    ['my file', "'my file'"],
    ["it's", "'it'\\''s'"],
  ])('%s can be pasted as %s', (word, quoted) => expect(shellWord(word)).toBe(quoted));

  it.each([
    [
      { status: 403, body: undefined },
      'the token is not accepted (403): it is expired, revoked, of another gateway or of another kind',
    ],
    [{ status: 409, body: { message: 'Source already exists' } }, 'Source already exists (409)'],
    [
      {
        status: 400,
        body: { message: 'not valid', errors: [{ path: 'messages[3].sent_at', message: 'must be given' }] },
      },
      'not valid; messages[3].sent_at: must be given (400)',
    ],
    [{ status: 500, body: { request_id: 'r-1' } }, 'the gateway answered 500, request r-1'],
  ])('an answer %j is told as a sentence', (answer, sentence) => expect(refusalOf(answer)).toBe(sentence));

  it('reads Retry-After as seconds and as a date', () => {
    const now = Date.parse('2026-01-01T00:00:00Z');
    const headers = ['7', 'Thu, 01 Jan 2026 00:01:00 GMT', 'Wed, 31 Dec 2025 00:00:00 GMT', 'soon', null];
    expect(headers.map((header) => parseRetryAfter(header, now))).toEqual([7000, 60_000, 0, undefined, undefined]);
  });

  it('shows a message, a lost position and an unknown event on one line each', () => {
    const head = { cursor: 'c', at: '2026-01-01T00:00:00.000Z' };
    const message = {
      legacyId: 'm',
      fromContact: true,
      senderType: 'CONTACT',
      deliveryState: 'DELIVERED',
      sender: { __typename: 'Contact', displayName: 'Ada' },
      content: { __typename: 'TextContent', text: 'Hello\nthere' },
      conversation: { id: 'x', legacyId: '8af3d7f3-8bef-554e-b191-39c1ec6cc88e' },
    };
    expect(lineOf({ __typename: 'MessageEvent', ...head, created: true, message })).toMatch(
      /message +8af3d7f3 {2}Ada: "Hello there"$/,
    );
    expect(lineOf({ __typename: 'ResetEvent', ...head, reason: 'too old' })).toMatch('RESET: too old.');
    expect(lineOf({ __typename: 'NewEvent', ...head })).toMatch('does not know');
  });

  it('tells what became of conversations, channels and tags', () => {
    const head = { cursor: 'c', at: '2026-01-05T09:00:00Z' };
    const conversation = { legacyId: '8af3d7f3-8bef-554e-b191-39c1ec6cc88e', state: 'OPEN', unreadCount: 2 };
    const contact = { displayName: 'Ada\u001b[2J' };
    const of = (event: object) => lineOf({ ...head, ...event }).replace(/^\S+ +/, '');
    expect(of({ __typename: 'ConversationEvent', created: true, conversation })).toMatch(
      /^conversation new +8af3d7f3 {2}no contact yet: open, 2 unread$/,
    );
    expect(of({ __typename: 'ConversationEvent', created: false, conversation: { ...conversation, contact } })).toMatch(
      /^conversation +8af3d7f3 {2}Ada \[2J: open, 2 unread$/,
    );
    const channel = { legacyId: '0', name: 'Desk', connected: false };
    expect(of({ __typename: 'ChannelEvent', channel })).toMatch(/^channel .* {2}Desk: disconnected$/);
    const tag = { legacyId: '0', name: 'Urgent' };
    expect(of({ __typename: 'TagEvent', tag })).toMatch(/^tag .* {2}Urgent$/);
    expect(of({ __typename: 'TagEvent', tag: null, deletedId: 'VGFnOjA' })).toMatch(/^tag deleted .*VGFnOjA$/);
  });

  it('shows of a content without words what else it has', () => {
    const head = { cursor: 'c', at: '2026-01-05T09:00:00Z' };
    const said = (content: object, sender: object | null = null) => {
      const message = {
        legacyId: 'm',
        fromContact: false,
        senderType: 'SOURCE',
        deliveryState: 'DELIVERED',
        sender,
        content,
        conversation: { legacyId: '0' },
      };
      return lineOf({ __typename: 'MessageEvent', ...head, created: false, message });
    };
    expect(said({ __typename: 'LocationContent' })).toMatch(/message delivered .*source: \(LocationContent\)$/);
    expect(said({ __typename: 'MediaContent', url: 'https://example.com/a.png', caption: '' })).toMatch(/a\.png"$/);
    const user = { firstName: 'Grace', lastName: 'Hopper' };
    expect(said({ __typename: 'TextContent', text: 'Hi' }, user)).toMatch(/Grace Hopper: "Hi"$/);
    expect(said({ __typename: 'TextContent', text: 'Hi' }, { sourceId: 'crm' })).toMatch(/crm: "Hi"$/);
  });
});
