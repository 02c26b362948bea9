import { beforeAll, describe, expect, it } from '@jest/globals';
import { type App, type Json, startApp } from '../support/app.ts';
import { openSocket } from '../support/graph-socket.ts';
import { addLargePage, largeText } from '../support/large-page.ts';

const aliased = (count: number) => Array.from({ length: count }, (_, index) => `r${index}: raw`).join(' ');
const pageOf = (fields: string) =>
  `query ($id: ID!) { conversation(id: $id) { messages(first: 100) { nodes { ${fields} } } } }`;

describe('an answer', () => {
  let app: App;
  let token: string;
  let conversation: Awaited<ReturnType<App['make']['conversation']>>;
  beforeAll(async () => {
    app = await startApp();
    token = (await app.make.user()).token;
    conversation = await app.make.conversation({ messages: [{}] });
    await addLargePage(app, conversation);
  });

  const refused = {
    data: null,
    errors: [{ extensions: { code: 'TOO_LARGE' }, message: expect.stringContaining('smaller pages') }],
  };

  it('with a full page of the largest messages is given', async () => {
    const { conversation: told } = await app.data(pageOf('raw'), { id: conversation.id }, token);
    expect(told.messages.nodes).toHaveLength(99);
    expect(told.messages.nodes[98].raw.text).toBe(largeText);
  });

  it('of 178 MB by aliases is refused, the first time and compiled, and over a socket', async () => {
    const socket = await openSocket(app.wsUrl, token);
    for (let use = 1; use <= 2; use += 1) {
      const { status, text, body } = await app.graphql(pageOf(aliased(30)), { id: conversation.id }, { token });
      expect({ status, body }).toMatchObject({ status: 200, body: refused });
      expect(text.length).toBeLessThan(1_000);
      const word = await socket.first(pageOf(aliased(30)), { id: conversation.id });
      expect(word?.payload).toMatchObject(refused);
    }
    socket.close();
  });

  it('to a change says that the change is made', async () => {
    const { body } = await app.graphql(
      `mutation ($id: ID!) { markConversationRead(input: { conversationId: $id }) {
        conversation { messages(first: 100) { nodes { ${aliased(30)} } } } } }`,
      { id: conversation.id },
      { token },
    );
    expect(body).toMatchObject({
      ...refused,
      errors: [{ extensions: { code: 'TOO_LARGE' }, message: expect.stringContaining('the change is made') }],
    });
  });

  it('is counted by what is in it: texts, keys, lists and plain values', async () => {
    const content = {
      list: Array(13_000).fill(1),
      keys: Object.fromEntries(Array.from({ length: 500 }, (_, i) => [`key${i}`, i])),
    };
    const other = await app.make.conversation({ messages: Array.from({ length: 15 }, () => ({ content })) });
    const ask = async (fields: string): Promise<Json> =>
      (await app.graphql(pageOf(fields), { id: other.id }, { token })).body;
    expect((await ask(aliased(2))).errors).toBeUndefined();
    expect(await ask(aliased(30))).toMatchObject(refused);
  });

  it('of one event says so, and the stream goes on', async () => {
    const fields = Array.from(
      { length: 28 },
      (_, index) => `m${index}: conversation { messages(first: 10) { nodes { raw } } }`,
    );
    const stream = app.subscribe(
      `subscription ($id: ID!) { conversation(id: $id) { __typename ... on MessageEvent { message { ${fields.join(' ')} } } } }`,
      { token, variables: { id: conversation.id } },
    );
    const said = stream.next().then(
      () => 'a result',
      (error: Error) => error.message,
    );
    const post = () =>
      app.make.webhook(conversation.source, { messages: [app.make.webhookMessage(conversation.place)] });
    // The stream is open once it has told something.
    let isOpen = false;
    void said.then(() => (isOpen = true));
    while (!isOpen) await post();
    expect(await said).toContain('TOO_LARGE');
    stream.close();
  });
});
