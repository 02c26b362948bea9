import { createHmac } from 'node:crypto';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Faults } from './faults.ts';

/** The action endpoint of the bench's source: answers at once, and checks each signature. */
export interface ActionEndpoint {
  url: string;
  faults: Faults;
  /** Calls `called` when the message with this text has been called for. */
  expect(text: string, called: () => void): void;
  forget(): void;
  /** The key that signatures are checked with. */
  token: string;
}

export async function startActionEndpoint(): Promise<ActionEndpoint> {
  const expected = new Map<string, () => void>();
  const endpoint: ActionEndpoint = {
    url: '',
    faults: new Faults(),
    token: '',
    expect: (text, called) => expected.set(text, called),
    forget: () => expected.clear(),
  };
  let calls = 0;
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const body = Buffer.concat(chunks);
      const signature = createHmac('sha256', endpoint.token).update(body).digest('hex');
      endpoint.faults.expect(
        request.headers['x-airy-content-signature'] === signature,
        () => 'an action call is not signed with the token of its source',
      );
      const { payload } = JSON.parse(body.toString()) as { payload: { message: { content: { text: string } } } };
      calls += 1;
      const answer = JSON.stringify({ source_message_id: `taken-${calls}-${payload.message.content.text}` });
      response.writeHead(200, { 'content-type': 'application/json', 'content-length': answer.length });
      response.end(answer);
      const { text } = payload.message.content;
      const called = expected.get(text);
      expected.delete(text);
      if (called) called();
      else endpoint.faults.add(`an action call came twice or unasked: ${text}`);
    });
  });
  server.keepAliveTimeout = 60_000;
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  endpoint.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/actions`;
  return endpoint;
}
