import { beforeAll, describe, expect, it } from '@jest/globals';
import pg from 'pg';
import { type App, type Json, startApp } from '../support/app.ts';

// What people do in the inbox, by GraphQL: tags, states, assignment, facts; and what others hear of it.

let app: App;
let agent: { id: string; token: string };
beforeAll(async () => {
  app = await startApp({ settings: { role: 'gateway' } });
  agent = await app.make.user();
});

const run = (document: string, input: Json) => app.data(document, { input }, agent.token);
const opaque = (type: string, id: string) => Buffer.from(`${type}:${id}`).toString('base64url');

describe('the inbox', () => {
  it('hears of tags and of what is done to conversations, once for each change', async () => {
    const { id: conversationId } = await app.make.conversation();
    const { eventCursor: after } = await app.data('{ eventCursor }', {}, agent.token);
    const created = await run(
      'mutation ($input: CreateTagInput!) { createTag(input: $input) { tag { id legacyId color } } }',
      { name: 'Urgent', color: 'RED' },
    );
    const { id: tagId, legacyId } = created.createTag.tag;
    const tagged =
      'mutation ($input: TagConversationInput!) { tagConversation(input: $input) { changed conversation { tags { name } } } }';
    const done = { changed: true, conversation: { tags: [{ name: 'Urgent' }] } };
    expect(await run(tagged, { conversationId, tagId })).toEqual({ tagConversation: done });
    expect(await run(tagged, { conversationId, tagId: legacyId })).toEqual({
      tagConversation: { ...done, changed: false },
    });
    await run('mutation ($input: SetConversationStateInput!) { setConversationState(input: $input) { changed } }', {
      conversationId,
      state: 'SNOOZED',
    });
    const renamed = 'mutation ($input: UpdateTagInput!) { updateTag(input: $input) { tag { name color } } }';
    expect(await run(renamed, { tagId, name: 'Later' })).toEqual({
      updateTag: { tag: { name: 'Later', color: 'RED' } },
    });
    expect(await run(renamed, { tagId, color: 'RED' })).toMatchObject({ updateTag: { tag: { name: 'Later' } } });
    await run('mutation ($input: TagInput!) { deleteTag(input: $input) { deletedId } }', { tagId });

    const events = app.subscribe(
      `subscription ($after: Cursor) { inbox(after: $after) { __typename
        ... on TagEvent { deletedId tag { name } }
        ... on ConversationEvent { created conversation { id legacyId state tags { name } } } } }`,
      { token: agent.token, variables: { after } },
    );
    // The cursor may stand before what was there already: other databases of the server hold it back.
    const heard: Json[] = [];
    while (heard.at(-1)?.deletedId == null) {
      const event = await events.next();
      if (heard.length > 0 || event.__typename === 'TagEvent') heard.push(event);
    }
    events.close();
    // A subject is shown as it is when it is told.
    const gone = { __typename: 'TagEvent', deletedId: null, tag: null };
    const shown = {
      __typename: 'ConversationEvent',
      created: false,
      conversation: {
        id: opaque('Conversation', conversationId),
        legacyId: conversationId,
        state: 'SNOOZED',
        tags: [],
      },
    };
    expect(heard).toEqual([gone, shown, shown, gone, { ...gone, deletedId: tagId }]);
  });

  it('notes facts of a conversation, a message and a channel, and tells when nothing changed', async () => {
    const { id, messageIds, channel } = await app.make.conversation();
    const set = `mutation ($input: SetMetadataInput!) { setMetadata(input: $input) { changed subject {
      ... on Conversation { metadata } ... on Message { metadata } ... on Channel { metadata } } } }`;
    for (const subjectId of [
      opaque('Conversation', id),
      opaque('Message', messageIds[0]!),
      opaque('Channel', channel.id),
    ]) {
      const noted = (await run(set, { subjectId, key: 'ad.id', value: [1, { a: 'b' }] })).setMetadata;
      expect([noted.changed, noted.subject.metadata.public]).toEqual([true, { ad: { id: [1, { a: 'b' }] } }]);
      expect((await run(set, { subjectId, key: 'ad.id', value: [1, { a: 'b' }] })).setMetadata.changed).toBe(false);
      const removed = (await run(set, { subjectId, key: 'ad', value: null })).setMetadata;
      expect([removed.changed, removed.subject.metadata.public]).toEqual([true, undefined]);
      const merge = 'mutation ($input: MergeUserDataInput!) { mergeUserData(input: $input) { changed } }';
      expect(await run(merge, { subjectId, data: { erp: 1 } })).toEqual({ mergeUserData: { changed: true } });
      expect(await run(merge, { subjectId, data: { 'erp.x': null } })).toEqual({ mergeUserData: { changed: false } });
      const { body } = await app.graphql(merge, { input: { subjectId, data: [] } }, agent);
      expect(body.errors[0].extensions.code).toBe('BAD_USER_INPUT');
    }
    for (const subjectId of [id, opaque('User', agent.id), opaque('Channel', 'x'), '']) {
      const { body } = await app.graphql(set, { input: { subjectId, key: 'a', value: 1 } }, agent);
      expect(body.errors[0].extensions.errors).toMatchObject([{ path: 'subjectId' }]);
    }
  });

  it('tells who reads the channel of a fact, and keeps facts within their bound', async () => {
    const channel = await app.make.channel(await app.make.source());
    const subjectId = opaque('Channel', channel.id);
    const set = 'mutation ($input: SetMetadataInput!) { setMetadata(input: $input) { changed } }';
    const { body } = await app.graphql(set, { input: { subjectId, key: 'big', value: 'x'.repeat(9_000) } }, agent);
    expect(body.errors[0].extensions.errors).toMatchObject([{ path: 'value' }]);
    await run(set, { subjectId, key: 'note', value: 'kept' });
    const query = 'query ($id: ID!) { channel(id: $id) { metadata } }';
    const shown = await app.data(query, { id: subjectId }, agent.token);
    expect(shown.channel.metadata.public).toEqual({ note: 'kept' });
  });

  it('has at most so many tags, all of which it shows at once', async () => {
    const fresh = await startApp({ settings: { role: 'gateway' } });
    const { token } = await fresh.make.user();
    const create = 'mutation ($input: CreateTagInput!) { createTag(input: $input) { tag { id } } }';
    const client = new pg.Client({ connectionString: fresh.database.url });
    await client.connect();
    // As a thousand calls would.
    await client.query(
      `insert into tag (id, name, color) select gen_random_uuid(), 'tag ' || n, 'BLUE' from generate_series(1, 1000) n`,
    );
    await client.end();
    const { body } = await fresh.graphql(create, { input: { name: 'one more', color: 'RED' } }, { token });
    expect(body.errors[0].message).toContain('1000 tags');
    expect((await fresh.rest('tags.list', {}, { token })).body.data).toHaveLength(1_000);
  });
});
