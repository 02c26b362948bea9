import { beforeAll, describe, expect, it } from '@jest/globals';
import { sql } from 'kysely';
import { newId, sourceThingId } from '../../src/domain/ids.ts';
import { rows } from '../../src/domain/statement.ts';
import { type App, type Json, startApp } from '../support/app.ts';
import { send } from '../support/sending.ts';

const opaque = (type: string, id: string) => Buffer.from(`${type}:${id}`).toString('base64url');
const unknownId = '00000000-0000-4000-8000-000000000000';

describe('the core of the GraphQL API', () => {
  let app: App;
  let admin: { id: string; token: string };
  beforeAll(async () => {
    app = await startApp();
    admin = await app.make.admin();
  });

  const data = (query: string, variables: Json = {}): Promise<Json> => app.data(query, variables, admin.token);
  const errors = async (query: string, variables: Json = {}): Promise<Json[]> =>
    (await app.graphql(query, variables, { token: admin.token })).body.errors;

  async function tag(): Promise<string> {
    const id = newId();
    await rows(
      app.core.em.fork(),
      sql`insert into tag (id, name, color) values (${id}::uuid, ${id}, 'BLUE') returning 1`,
    );
    return id;
  }

  describe('ids', () => {
    /** The bare id of one thing of each type. */
    async function oneOfEach(): Promise<[string, string][]> {
      const { source, id, messageIds } = await app.make.conversation();
      const { conversation } = await data(
        'query ($id: ID!) { conversation(id: $id) { channel { legacyId } contact { legacyId } } }',
        { id },
      );
      return [
        ['User', admin.id],
        ['Source', source.sourceId],
        ['Channel', conversation.channel.legacyId],
        ['Contact', conversation.contact.legacyId],
        ['Conversation', id],
        ['Message', messageIds[0]!],
        ['Tag', await tag()],
      ];
    }

    it('are opaque, unique over all types, and lead back to their thing by node and nodes', async () => {
      const things = await oneOfEach();
      const ids = things.map(([type, id]) => opaque(type, id));
      const expected = things.map(([type, id]) => ({ __typename: type, id: opaque(type, id), legacyId: id }));
      const { nodes } = await data(
        'query ($ids: [ID!]!) { nodes(ids: $ids) { __typename id ... on Stored { legacyId } } }',
        { ids },
      );
      expect(nodes).toEqual(expected);
      for (const [index, id] of ids.entries()) {
        const { node } = await data('query ($id: ID!) { node(id: $id) { __typename id ... on Stored { legacyId } } }', {
          id,
        });
        expect(node).toEqual(expected[index]);
      }
    });

    it('keep their order in nodes, with null for what is not there', async () => {
      const { messageIds } = await app.make.conversation({ messages: [{}, {}] });
      const [first, second] = messageIds.map((id) => opaque('Message', id));
      const ids = [
        second,
        opaque('Message', unknownId),
        first,
        second,
        opaque('Source', 'nobody'),
        opaque('Tag', messageIds[0]!),
        opaque('Weather', unknownId),
      ];
      const { nodes } = await data('query ($ids: [ID!]!) { nodes(ids: $ids) { id } }', { ids });
      expect(nodes).toEqual([{ id: second }, null, { id: first }, { id: second }, null, null, null]);
    });

    it('are taken opaque or bare where an argument names one type', async () => {
      const { id } = await app.make.conversation();
      for (const form of [id, opaque('Conversation', id)]) {
        const { conversation } = await data('query ($id: ID!) { conversation(id: $id) { legacyId } }', { id: form });
        expect(conversation.legacyId).toBe(id);
        expect((await send(app, { id: form })).deliveryState).toBe('PENDING');
      }
      expect(
        (await data('query ($id: ID!) { conversation(id: $id) { id } }', { id: unknownId })).conversation,
      ).toBeNull();
    });

    it.each<[string, string, string]>([
      ['of another type', opaque('Message', unknownId), 'got one of a Message'],
      ['of no type', opaque('', unknownId), 'must be the id of a Conversation'],
      ['of a thing without a UUID', opaque('Conversation', 'a'), 'must be the id of a Conversation'],
      ['in upper case', unknownId.toUpperCase().replace('8', 'A'), 'must be the id of a Conversation'],
      ['with braces', `{${unknownId}}`, 'must be the id of a Conversation'],
      ['that is empty', '', 'must be the id of a Conversation'],
      ['in another base64', `${opaque('Conversation', unknownId)}==`, 'must be the id of a Conversation'],
    ])('%s are BAD_USER_INPUT with the field', async (_what, id, message) => {
      const calls: [string, Json, string][] = [
        ['query ($id: ID!) { conversation(id: $id) { id } }', { id }, 'id'],
        [
          'mutation ($input: ConversationInput!) { markConversationRead(input: $input) { changed } }',
          { input: { conversationId: id } },
          'conversationId',
        ],
        [
          'mutation ($input: SendMessageInput!) { sendMessage(input: $input) { message { id } } }',
          { input: { conversationId: id, text: 'x' } },
          'conversationId',
        ],
      ];
      for (const [query, variables, path] of calls) {
        const [error] = await errors(query, variables);
        expect(error.extensions).toMatchObject({
          code: 'BAD_USER_INPUT',
          errors: [{ path, message: expect.stringContaining(message) }],
        });
      }
    });

    it('of node must be opaque, and nodes takes 100', async () => {
      expect((await errors('query ($id: ID!) { node(id: $id) { id } }', { id: unknownId }))[0].extensions.code).toBe(
        'BAD_USER_INPUT',
      );
      const ids = Array(101).fill(opaque('Message', unknownId));
      const [tooMany] = await errors('query ($ids: [ID!]!) { nodes(ids: $ids) { id } }', { ids });
      expect(tooMany.extensions).toMatchObject({ code: 'BAD_USER_INPUT', errors: [{ path: 'ids' }] });
    });
  });

  describe('a connection', () => {
    const page =
      'pageInfo { hasNextPage hasPreviousPage startCursor endCursor } nodes { legacyId } edges { cursor node { legacyId } }';

    async function messagesOf(count: number) {
      const messages = Array.from({ length: count }, (_, index) => ({
        sent_at: 1_600_000_000_000 + Math.floor(index / 2) * 1000,
      }));
      const { id, messageIds, source } = await app.make.conversation({ messages });
      return { expected: messageIds, root: `conversation(id: "${id}")`, field: 'messages', source };
    }

    async function channelsOf(count: number) {
      const source = await app.make.source();
      const expected = [];
      for (let index = 0; index < count; index += 1) expected.push((await app.make.channel(source)).id);
      return { expected, root: `source(sourceId: "${source.sourceId}")`, field: 'channels' };
    }

    /** Newest activity first, ties by id downwards. */
    async function conversationsOf(count: number) {
      const source = await app.make.source();
      const { sourceChannelId } = await app.make.channel(source);
      const made = Array.from({ length: count }, (_, index) => {
        const name = `conversation-${index}`;
        return { name, id: sourceThingId(source.sourceId, name), at: 1_600_000_000_000 + Math.floor(index / 2) * 1000 };
      });
      await app.make.webhook(source, {
        messages: made.map(({ name, at }) =>
          app.make.webhookMessage({ source_channel_id: sourceChannelId, source_conversation_id: name, sent_at: at }),
        ),
      });
      const expected = made.sort((a, b) => b.at - a.at || (a.id < b.id ? 1 : -1)).map(({ id }) => id);
      const { conversation } = await data('query ($id: ID!) { conversation(id: $id) { contact { id } } }', {
        id: expected[0],
      });
      return { expected, root: `node(id: "${conversation.contact.id}")`, field: 'conversations', on: '... on Contact' };
    }

    const kinds: [
      string,
      (count: number) => Promise<{ expected: string[]; root: string; field: string; on?: string }>,
    ][] = [
      ['of messages', messagesOf],
      ['of the channels of a source', channelsOf],
      ['of the conversations of a contact', conversationsOf],
    ];

    describe.each(kinds)('%s', (_what, make) => {
      const read = async (
        { root, field, on = '...' }: { root: string; field: string; on?: string },
        args: string,
      ): Promise<Json> => {
        const answer = await data(`{ root: ${root} { ${on} { ${field}${args} { ${page} } } } }`);
        return answer.root[field];
      };
      const idsOf = ({ nodes }: Json) => nodes.map(({ legacyId }: Json) => legacyId);

      it('walks forwards and backwards over the same rows', async () => {
        const list = await make(7);
        const forwards: string[] = [];
        let args = '(first: 3)';
        for (let more = true; more; ) {
          const got = await read(list, args);
          expect(got.edges.map(({ node }: Json) => node)).toEqual(got.nodes);
          expect([got.edges[0].cursor, got.edges.at(-1).cursor]).toEqual([
            got.pageInfo.startCursor,
            got.pageInfo.endCursor,
          ]);
          expect(got.pageInfo.hasPreviousPage).toBe(forwards.length > 0);
          forwards.push(...idsOf(got));
          more = got.pageInfo.hasNextPage;
          args = `(first: 3, after: "${got.pageInfo.endCursor}")`;
        }
        expect(forwards).toEqual(list.expected);

        const backwards: string[] = [];
        args = '(last: 3)';
        for (let more = true; more; ) {
          const got = await read(list, args);
          expect(got.pageInfo.hasNextPage).toBe(backwards.length > 0);
          backwards.unshift(...idsOf(got));
          more = got.pageInfo.hasPreviousPage;
          args = `(last: 3, before: "${got.pageInfo.startCursor}")`;
        }
        expect(backwards).toEqual(list.expected);
      });

      it('ends at the end, and is empty where nothing is left', async () => {
        const list = await make(4);
        const all = await read(list, '(first: 4)');
        expect(all.pageInfo).toMatchObject({ hasNextPage: false, hasPreviousPage: false });
        expect(idsOf(await read(list, '(last: 2)'))).toEqual(list.expected.slice(-2));
        const none = await read(list, `(first: 4, after: "${all.pageInfo.endCursor}")`);
        expect(none).toMatchObject({
          nodes: [],
          edges: [],
          pageInfo: { hasNextPage: false, startCursor: null, endCursor: null },
        });
        expect(idsOf(await read(list, ''))).toEqual(list.expected);
      });

      it('refuses what makes no sense, naming it', async () => {
        const list = await make(1);
        const other = Buffer.from(JSON.stringify(['another list', 1, unknownId])).toString('base64url');
        for (const [args, path] of [
          ['(first: -1)', 'first'],
          ['(last: -1)', 'last'],
          ['(first: 1, last: 1)', 'last'],
          ['(first: 1, after: "x")', 'after'],
          [`(after: "${other}")`, 'after'],
          [`(last: 1, before: "${other}")`, 'before'],
        ]) {
          const [error] = await errors(
            `{ root: ${list.root} { ${list.on ?? '...'} { ${list.field}${args} { ${page} } } } }`,
          );
          expect([args, error.extensions.code, error.extensions.errors[0].path]).toEqual([
            args,
            'BAD_USER_INPUT',
            path,
          ]);
        }
      });
    });

    it('of all conversations and of all channels hold the same rows in both directions', async () => {
      await conversationsOf(5);
      await channelsOf(3);
      for (const field of ['conversations', 'channels']) {
        const walk = async (size: string, place: string, next: (info: Json) => string | null) => {
          const ids: string[][] = [];
          for (let cursor: string | null = null; ; ) {
            const answer = await data(
              `{ list: ${field}(${size}: 4${cursor ? `, ${place}: "${cursor}"` : ''}) { ${page} } }`,
            );
            ids.push(answer.list.nodes.map(({ legacyId }: Json) => legacyId));
            cursor = next(answer.list.pageInfo);
            if (!cursor) return ids;
          }
        };
        const forwards = await walk('first', 'after', ({ hasNextPage, endCursor }) => (hasNextPage ? endCursor : null));
        const backwards = await walk('last', 'before', ({ hasPreviousPage, startCursor }) =>
          hasPreviousPage ? startCursor : null,
        );
        expect(backwards.reverse().flat()).toEqual(forwards.flat());
        expect(new Set(forwards.flat()).size).toBe(forwards.flat().length);
      }
    });

    it('counts its own rows', async () => {
      const { root, on } = await conversationsOf(3);
      const contact = await data(
        `{ node: ${root} { ${on} { conversations(first: 1) { total filteredTotal unreadTotal } } } }`,
      );
      expect(contact.node.conversations).toEqual({ total: 3, filteredTotal: 3, unreadTotal: 3 });
      const channels = await channelsOf(3);
      expect((await data(`{ source: ${channels.root} { channels(first: 1) { total } } }`)).source.channels.total).toBe(
        3,
      );
      const messages = await messagesOf(3);
      expect(
        (await data(`{ conversation: ${messages.root} { messages(first: 1) { total } } }`)).conversation.messages.total,
      ).toBe(3);
    });
  });

  describe('a message', () => {
    const contentFields = `raw content { __typename
      ... on TextContent { text }
      ... on MediaContent { url mimeType name byteSize caption }
      ... on LocationContent { latitude longitude label }
      ... on UnknownContent { type preview } }`;

    it.each<[string, unknown, Json]>([
      ['a text', 'Hello', { __typename: 'TextContent', text: 'Hello' }],
      ['an object with a text', { text: 'Hello', more: 1 }, { __typename: 'TextContent', text: 'Hello' }],
      [
        'an address of a file',
        { type: 'image', url: 'https://example.com/a.png', mimeType: 'image/png', title: 'a', byteSize: 3 },
        {
          __typename: 'MediaContent',
          url: 'https://example.com/a.png',
          mimeType: 'image/png',
          name: 'a',
          byteSize: 3,
          caption: null,
        },
      ],
      [
        'a place',
        { latitude: 1.5, longitude: -2, name: 'Here' },
        { __typename: 'LocationContent', latitude: 1.5, longitude: -2, label: 'Here' },
      ],
      [
        'an address that is no web address',
        { url: 'javascript:1' },
        { __typename: 'UnknownContent', type: null, preview: '{"url":"javascript:1"}' },
      ],
      [
        'an unknown shape',
        { type: 'poll', of: [1] },
        { __typename: 'UnknownContent', type: 'poll', preview: expect.stringContaining('"poll"') },
      ],
      ['a list', [1, 2], { __typename: 'UnknownContent', type: null, preview: '[1,2]' }],
      ['a number', 42, { __typename: 'UnknownContent', type: null, preview: '42' }],
    ])('shows %s as what it is, and as it came', async (_what, content, shown) => {
      const { messageIds } = await app.make.conversation({ messages: [{ content }] });
      const { node } = await data(`query ($id: ID!) { node(id: $id) { ... on Message { ${contentFields} } } }`, {
        id: opaque('Message', messageIds[0]!),
      });
      expect(node).toEqual({ raw: content, content: shown });
    });

    it('names its sender: contact, user or source', async () => {
      const conversation = await app.make.conversation({
        messages: [{}, { from_contact: false, source_sender_id: 'their agent' }],
        displayName: 'Ada Lovelace',
      });
      await send(app, conversation);
      const answer = await data(
        `query ($id: ID!) { conversation(id: $id) { contact { id } messages { nodes { senderType senderId fromContact sender { __typename
          ... on Contact { id displayName } ... on User { legacyId firstName } ... on Source { sourceId } } } } } }`,
        { id: conversation.id },
      );
      const { contact, messages } = answer.conversation;
      const contactId = Buffer.from(contact.id, 'base64url').toString().slice('Contact:'.length);
      expect(messages.nodes).toEqual([
        {
          senderType: 'CONTACT',
          senderId: contactId,
          fromContact: true,
          sender: { __typename: 'Contact', id: contact.id, displayName: 'Ada Lovelace' },
        },
        {
          senderType: 'SOURCE',
          senderId: 'their agent',
          fromContact: false,
          sender: { __typename: 'Source', sourceId: conversation.source.sourceId },
        },
        {
          senderType: 'USER',
          senderId: admin.id,
          fromContact: false,
          sender: { __typename: 'User', legacyId: admin.id, firstName: 'Grace' },
        },
      ]);
    });
  });
});
