import { beforeAll, describe, expect, it } from '@jest/globals';
import { type App, type Json, type MadeSource, startApp } from '../support/app.ts';
import { flowsOf } from '../support/flows.ts';
import { sendToEach, settled } from '../support/sending.ts';
import { statementsOf } from '../support/statements.ts';

describe('the SQL of one request', () => {
  let app: App;
  let admin: string;
  let source: MadeSource;
  beforeAll(async () => {
    app = await startApp();
    admin = (await app.make.admin()).token;
    source = await app.make.source();
    const channels = [await app.make.channel(source), await app.make.channel(source)];
    // Messages of a contact, of the source and of a user in each of 60 conversations.
    const messages = Array.from({ length: 120 }, (_, index) =>
      app.make.webhookMessage({
        source_channel_id: channels[index % 2]!.sourceChannelId,
        source_conversation_id: `conversation-${index % 60}`,
        source_sender_id: `sender-${index % 60}`,
        from_contact: index < 60,
      }),
    );
    await app.make.webhook(source, { messages });
    const { conversations } = await data('{ conversations(first: 60) { nodes { id: legacyId } } }');
    // Their deliveries fail for want of an action endpoint; until then the worker asks the database too.
    for (const message of await sendToEach(app, conversations.nodes)) await settled(app, message);
  });

  const data = (query: string, variables: Json = {}): Promise<Json> => app.data(query, variables, admin);

  /** What a query costs once it is known and its caller too. */
  async function statements(query: string, variables: Json = {}): Promise<string[]> {
    await data(query, variables);
    await data(query, variables);
    return (await statementsOf(() => data(query, variables))).statements;
  }
  const restStatements = async (name: string, body: Json): Promise<string[]> => {
    await app.rest(name, body, { token: admin });
    const { result, statements: sent } = await statementsOf(() => app.rest(name, body, { token: admin }));
    expect(result.status).toBe(200);
    return sent;
  };

  const everything = `{ nodes { sourceId unreadCount metadata tags { name } assignee { firstName }
    channel { name sourceId source { name } }
    contact { displayName conversations(first: 2) { total unreadTotal nodes { legacyId channel { name } } } }
    lastMessage { raw sender { __typename } }
    messages(last: 3) { total nodes { raw conversation { unreadCount } sender { __typename ... on Contact { displayName } ... on User { firstName } } } } }
    total filteredTotal unreadTotal }`;

  it('is as many statements for 5 conversations with all that hangs on them as for 50', async () => {
    const few = await statements(`{ conversations(first: 5) ${everything} }`);
    const many = await statements(`{ conversations(first: 50) ${everything} }`);
    expect(few).toHaveLength(many.length);
    // The page with its counters, the contacts' conversations, their totals and the messages.
    expect(many).toHaveLength(4);
  });

  it('is as many statements for 2 flows and journeys with all that hangs on them as for 20', async () => {
    const flows = await flowsOf(app);
    for (let count = 0; count < 20; count += 1) {
      const flowId = await flows.published([{ id: 'e', type: 'end', status: 'COMPLETED' }]);
      await flows.ended(await flows.start(flowId, { identifiers: [{ type: 'TEXT', value: `${count}` }] }));
    }
    const ofFlows = '{ nodes { name published { number } versions { number definition } } }';
    const ofJourneys =
      '{ nodes { status link flow { name } contact { displayName } events { name } identifiers { value } } }';
    for (const [field, shown, most] of [
      ['flows', ofFlows, 3],
      ['journeys', ofJourneys, 3],
    ] as const) {
      const few = await statements(`{ ${field}(first: 2) ${shown} }`);
      const many = await statements(`{ ${field}(first: 20) ${shown} }`);
      expect([field, few.length, many.length]).toEqual([field, most, most]);
    }
  });

  it('is as many statements for 5 messages by id as for 50', async () => {
    const { conversations } = await data('{ conversations(first: 50) { nodes { lastMessage { id } } } }');
    const ids: string[] = conversations.nodes.map(({ lastMessage }: Json) => lastMessage.id);
    const query = `query ($ids: [ID!]!) { nodes(ids: $ids) { ... on Message { sender { __typename }
      conversation { channel { source { sourceId } } messages(first: 1) { nodes { sender { __typename } } } } } } }`;
    const few = await statements(query, { ids: ids.slice(0, 5) });
    const many = await statements(query, { ids });
    expect(few).toHaveLength(many.length);
    // Messages, conversations, their messages, and contacts by id.
    expect(many).toHaveLength(4);
  });

  it('is as many statements for 2 sources with their channels and calls as for 12', async () => {
    await app.make.channel(await app.make.source());
    const query =
      '{ sources { reachable channels(first: 2) { total nodes { metadata createdAt source { name } } } deliveries(last: 2) { url at } } }';
    const few = await statements(query);
    await Promise.all(Array.from({ length: 10 }, async () => app.make.channel(await app.make.source())));
    const many = await statements(query);
    expect(few).toHaveLength(many.length);
    // Sources, channels, their totals and calls.
    expect(many).toHaveLength(4);
  });

  it('shows of channels and calls in a list what it shows of one', async () => {
    const fields = 'legacyId name connected metadata createdAt sourceChannelId imageUrl';
    await app.rest(
      'sources.channels.create',
      { source_channel_id: 'rich', name: 'Rich', metadata: { a: { b: [1, 'x'] }, c: '{"not":"parsed"}' } },
      { token: source.token },
    );
    const { source: found } = await data(
      `query ($id: String!) { source(sourceId: $id) { channels { nodes { id ${fields} } } } }`,
      { id: source.sourceId },
    );
    expect(found.channels.nodes.at(-1)).toMatchObject({
      name: 'Rich',
      metadata: { name: 'Rich', a: { b: [1, 'x'] }, c: '{"not":"parsed"}' },
    });
    for (const { id, ...channel } of found.channels.nodes) {
      expect((await data(`query ($id: ID!) { node(id: $id) { ... on Channel { ${fields} } } }`, { id })).node).toEqual(
        channel,
      );
    }
  });

  it('counts totals only when they are selected', async () => {
    // The counters of all conversations come with the page.
    const counting = /count\(\*\)/;
    const without = await statements(
      '{ conversations(first: 5) { nodes { contact { conversations { nodes { id } } } } } channels { nodes { id } } }',
    );
    expect(without.filter((statement) => counting.test(statement))).toEqual([]);
    const withTotals = await statements(
      '{ conversations(first: 5) { total filteredTotal unreadTotal nodes { contact { conversations { total unreadTotal } } } } channels { total } }',
    );
    expect(withTotals.filter((statement) => counting.test(statement))).toHaveLength(2);
  });

  it('is one statement for conversations.list of 20', async () => {
    // The page with channel, contact, tags, last message and counters.
    expect(await restStatements('conversations.list', { page_size: 20 })).toHaveLength(1);
  });

  it('is one statement for messages.list', async () => {
    const { conversations } = await data('{ conversations(first: 1) { nodes { legacyId } } }');
    const [{ legacyId: id }] = conversations.nodes;
    expect(await restStatements('messages.list', { conversation_id: id })).toHaveLength(1);
  });
});
