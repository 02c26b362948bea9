import { randomUUID } from 'node:crypto';
import { beforeAll, describe, expect, it } from '@jest/globals';
import { sql } from 'kysely';
import { rows } from '../../src/domain/statement.ts';
import { type App, type Json, startApp } from '../support/app.ts';
import { flowsOf } from '../support/flows.ts';

const shown = `channelName contactName isOpen cursor
  messages(last: 20) { nodes { id fromContact text raw sentAt } pageInfo { hasPreviousPage } }`;

describe('the link of a journey', () => {
  let app: App;
  let flows: Awaited<ReturnType<typeof flowsOf>>;
  let flowId: string;
  beforeAll(async () => {
    app = await startApp();
    flows = await flowsOf(app);
    flowId = await flows.published([
      { id: 'w', type: 'wait', for: 'event', name: 'message.received', next: 'e' },
      { id: 'e', type: 'end', status: 'COMPLETED', reason: '{{ event.text }}' },
    ]);
  });

  const open = (linkToken: string) =>
    app.graphql('mutation ($input: OpenJourneyLinkInput!) { openJourneyLink(input: $input) { token expiresAt } }', {
      input: { linkToken },
    });
  const tokenOf = ({ link }: Json): string => String(link).split('/').at(-1)!;
  const codeOf = ({ body }: Json): string | undefined => body.errors?.[0].extensions.code;

  async function linked(displayName = 'Ada Lovelace') {
    const conversation = await app.make.conversation({
      displayName,
      messages: [{ content: { text: `I am ${displayName}` } }],
    });
    const journey = await flows.start(flowId, { conversationId: conversation.id });
    const { body } = await open(tokenOf(journey));
    const { token } = body.data.openJourneyLink;
    const ask = (document: string, variables?: unknown) => app.graphql(document, variables, { token });
    const send = (text: string, id: string = randomUUID()) =>
      ask(
        'mutation ($input: SendLinkedMessageInput!) { sendLinkedMessage(input: $input) { message { id text fromContact } } }',
        { input: { id, text } },
      );
    return { conversation, journey, token, ask, send };
  }

  it('opens its one conversation, as the contact may see it', async () => {
    const { ask, journey } = await linked();
    expect(journey.link).toMatch(new RegExp(`^${app.url}/j/[\\w-]{22}$`));
    const { linkedConversation } = (await ask(`{ linkedConversation { ${shown} } }`)).body.data;
    expect(linkedConversation).toMatchObject({ channelName: 'A channel', contactName: 'Ada Lovelace', isOpen: true });
    expect(linkedConversation.messages.nodes).toMatchObject([{ text: 'I am Ada Lovelace', fromContact: true }]);
    const stored = await rows<{ text: string }>(app.core.em.fork(), sql`select j::text text from journey j`);
    expect(stored.some(({ text }) => text.includes(tokenOf(journey)))).toBe(false);
    expect(app.logged.some((line) => line.includes(tokenOf(journey)))).toBe(false);
  });

  it('has no page where a journey has no conversation', async () => {
    expect((await flows.start(flowId)).link).toBeNull();
  });

  it('opens nothing else: no inbox, no other conversation, no journey', async () => {
    const [one, other] = [await linked('Ada'), await linked('Grace')];
    for (const document of [
      '{ conversations { nodes { id } } }',
      `{ conversation(id: "${other.conversation.id}") { id } }`,
      `{ journey(id: "${one.journey.id}") { id } }`,
      `{ node(id: "${one.journey.id}") { id } }`,
      '{ viewer { id } }',
    ]) {
      expect([document, codeOf(await one.ask(document))]).toEqual([document, 'FORBIDDEN']);
    }
    expect((await app.rest('conversations.list', {}, { token: one.token })).status).toBe(403);
    const text = (await one.ask(`{ linkedConversation { ${shown} } }`)).text;
    expect(text).toContain('I am Ada');
    expect(text).not.toContain('Grace');
  });

  it('tells each its own messages, though they ask the same', async () => {
    const [one, other] = [await linked('Ada'), await linked('Grace')];
    const stream = `subscription ($after: Cursor) { linkedMessages(after: $after) {
      __typename ... on LinkedMessageEvent { message { text } } } }`;
    const { cursor } = (await one.ask('{ linkedConversation { cursor } }')).body.data.linkedConversation;
    const heard = [one, other].map(({ token }) => app.subscribe(stream, { token, variables: { after: cursor } }));
    const [first, second] = heard.map((subscription) => subscription.next());
    await other.send('for Grace only');
    await one.send('for Ada only');
    expect((await first)!.message.text).toBe('for Ada only');
    expect((await second)!.message.text).toBe('for Grace only');
    for (const subscription of heard) subscription.close();
  });

  it('takes messages of the contact, once for each id, which are events of the journey', async () => {
    const { send, conversation, journey } = await linked();
    const id = randomUUID();
    const sent = await send('My order is late', id);
    expect(sent.body.data.sendLinkedMessage.message).toMatchObject({ text: 'My order is late', fromContact: true });
    const again = await send('something else', id);
    expect(again.body.data.sendLinkedMessage.message).toEqual(sent.body.data.sendLinkedMessage.message);
    expect(await flows.ended(journey)).toMatchObject({ reason: 'My order is late' });
    const { messages, unreadCount } = await flows.ask(
      'query ($id: ID!) { conversation(id: $id) { unreadCount messages(last: 5) { nodes { senderType raw } } } }',
      { id: conversation.id },
    );
    expect(unreadCount).toBe(2);
    expect(messages.nodes.at(-1)).toEqual({ senderType: 'CONTACT', raw: { text: 'My order is late' } });
  });

  it('takes 30 messages within a minute and says when the next one may come', async () => {
    const { send } = await linked();
    for (let count = 0; count < 30; count += 1) expect(codeOf(await send(`text ${count}`))).toBeUndefined();
    const refused = await send('one more');
    expect(refused.body.errors[0].extensions).toMatchObject({ code: 'RATE_LIMITED', retryAfterMs: expect.any(Number) });
  });

  it.each<[string, string, string]>([
    ['', randomUUID(), 'text'],
    ['   ', randomUUID(), 'text'],
    ['x'.repeat(4_001), randomUUID(), 'text'],
    ['hello', 'no uuid', 'id'],
  ])('refuses what is no message: %#', async (text, id, path) => {
    const { send } = await linked();
    const { body } = await send(text, id);
    expect(body.errors[0].extensions).toMatchObject({ code: 'BAD_USER_INPUT', errors: [{ path }] });
  });

  it('lasts until 30 days after the journey', async () => {
    const { journey, token, ask } = await linked();
    await flows.abort(journey.id);
    const ended = (days: number) =>
      rows(
        app.core.em.fork(),
        sql`update journey set ended_at = now() - make_interval(days => ${days}::int) where id = ${journey.legacyId}::uuid`,
      );
    await ended(29);
    const late = (await open(tokenOf(journey))).body.data.openJourneyLink;
    expect(Date.parse(late.expiresAt) - Date.now()).toBeLessThanOrEqual(86_400_000);
    expect((await ask(`{ linkedConversation { isOpen } }`)).body.data.linkedConversation.isOpen).toBe(false);
    await ended(31);
    expect(codeOf(await open(tokenOf(journey)))).toBe('NOT_FOUND');
    expect(codeOf(await app.graphql('{ linkedConversation { isOpen } }', undefined, { token }))).toBe(
      'UNAUTHENTICATED',
    );
  });

  it('that nobody gave is not found, whatever it looks like', async () => {
    for (const wrong of ['', 'x', 'A'.repeat(22), 'a/../b', '%00', 'x'.repeat(5_000)]) {
      const { body, text } = await open(wrong);
      expect([wrong, body.errors[0].extensions.code]).toEqual([wrong, 'NOT_FOUND']);
      if (wrong.length > 10) expect(text).not.toContain(wrong);
    }
  });
});
