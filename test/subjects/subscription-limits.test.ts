import { beforeAll, describe, expect, it } from '@jest/globals';
import { type App, type Json, startApp } from '../support/app.ts';
import { type GraphSocket, openSocket } from '../support/graph-socket.ts';
import { until } from '../support/until.ts';

/** Costs 99 for each event, and is another document for each `mark`. */
const costly = (mark: string) => `subscription ${mark} { inbox { ... on MessageEvent { message { conversation {
  messages(first: 48) { nodes { conversation { id } } } } } } } }`;
const small = (mark: string) => `subscription ${mark} { inbox { __typename } }`;
const stream = 'subscription Stream($id: ID!) { conversation(id: $id) { __typename } }';

describe('the subscriptions of one user', () => {
  let app: App;
  let token: string;
  beforeAll(async () => {
    app = await startApp();
    token = (await app.make.user()).token;
  });

  /** Its refusal, or undefined when the subscription stands. */
  async function refusal(socket: GraphSocket, query: string, variables?: Record<string, unknown>): Promise<Json> {
    const id = socket.start(query, variables);
    await socket.first('{ __typename }');
    return socket.about(id).find(({ type }) => type === 'error')?.payload[0];
  }
  const tooMuch = { extensions: { code: 'QUERY_TOO_COMPLEX' }, message: expect.stringContaining('open subscriptions') };

  it('cost at most 500 for each event together, over all sockets; equal ones count once', async () => {
    const [one, two] = await Promise.all([openSocket(app.wsUrl, token), openSocket(app.wsUrl, token)]);
    for (const mark of ['A', 'B', 'C', 'D']) expect(await refusal(one, costly(mark))).toBeUndefined();
    for (const mark of ['A', 'B', 'C', 'D']) expect(await refusal(two, costly(mark))).toBeUndefined();
    expect(await refusal(two, costly('E'))).toBeUndefined();
    expect(await refusal(one, costly('F'))).toMatchObject(tooMuch);
    expect(await refusal(two, small('G'))).toMatchObject(tooMuch);
    // Somebody else has as much, and what is refused takes nothing away.
    const other = await openSocket(app.wsUrl, (await app.make.user()).token);
    for (const mark of ['F', 'G', 'H', 'I', 'J']) expect(await refusal(other, costly(mark))).toBeUndefined();
    two.close();
    await two.closed;
    await until(async () => !(await refusal(one, costly('E'))));
    expect(await refusal(one, costly('F'))).toMatchObject(tooMuch);
    one.close();
    other.close();
    await Promise.all([one.closed, other.closed]);
  });

  it('are fifty documents at most, however small they are', async () => {
    const socket = await openSocket(app.wsUrl, (await app.make.user()).token);
    for (let index = 0; index < 50; index += 1) expect(await refusal(socket, small(`S${index}`))).toBeUndefined();
    expect(await refusal(socket, small('S50'))).toMatchObject(tooMuch);
    socket.close();
  });

  it('may be of as many conversations as a socket carries', async () => {
    const source = await app.make.source();
    const channel = await app.make.channel(source);
    const socket = await openSocket(app.wsUrl, token);
    for (let index = 0; index < 90; index += 1) {
      const { id } = await app.make.conversation({ source, channel });
      expect(await refusal(socket, stream, { id })).toBeUndefined();
    }
    socket.close();
  });

  it('count no more when their socket went away while they were opened', async () => {
    const { token: own } = await app.make.user();
    for (let round = 0; round < 10; round += 1) {
      const gone = await openSocket(app.wsUrl, own);
      for (const mark of ['A', 'B', 'C', 'D', 'E']) gone.start(costly(`${mark}${round}`));
      gone.close();
      await gone.closed;
    }
    const socket = await openSocket(app.wsUrl, own);
    for (const mark of ['A', 'B', 'C', 'D', 'E']) {
      await until(async () => !(await refusal(socket, costly(mark))));
    }
    socket.close();
  });
});
