import { Resolver } from 'node:dns/promises';
import { once } from 'node:events';
import { createServer as createHttpServer } from 'node:http';
import { type AddressInfo, createServer, type Server } from 'node:net';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import dns2 from 'dns2';
import { createOutboundHttp, OutboundFault, type OutboundHttp } from '../../src/domain/outbound-http.ts';

const { Packet } = dns2;
const publicAddress = '93.184.216.34';

/** What the name server says, query after query; the last answer stays. IPv6 where there is a colon. */
let answers: string[][] = [];
let asked = 0;

describe('S: a name server that is not on our side', () => {
  let canary: Server;
  let open: Server;
  let port: number;
  let names: ReturnType<typeof dns2.createServer>;
  let resolver: Resolver;
  let http: OutboundHttp;
  let connections = 0;

  beforeAll(async () => {
    canary = createServer((socket) => {
      connections += 1;
      socket.destroy();
    }).listen(0, '127.0.0.1');
    await once(canary, 'listening');
    ({ port } = canary.address() as AddressInfo);
    // The one address that may be called, at the same port.
    open = createHttpServer((_, response) => response.end('open')).listen(port, '127.0.0.2');
    await once(open, 'listening');
    names = dns2.createServer({
      udp: true,
      handle(request, send) {
        const response = Packet.createResponseFromRequest(request);
        const [question] = request.questions;
        const isSix = question?.type === Packet.TYPE.AAAA;
        const said = answers.length > 1 && !isSix ? answers.shift()! : answers[0]!;
        if (!isSix) asked += 1;
        for (const address of said.filter((one) => one.includes(':') === isSix)) {
          const type = isSix ? Packet.TYPE.AAAA : Packet.TYPE.A;
          response.answers.push(
            new Packet.Resource({ name: question?.name, type, class: Packet.CLASS.IN, ttl: 0, address }),
          );
        }
        send(response);
      },
    });
    const { udp } = (await names.listen({ udp: { port: 0, address: '127.0.0.1' } })) as { udp: AddressInfo };
    resolver = new Resolver({ timeout: 2_000, tries: 1 });
    resolver.setServers([`127.0.0.1:${udp.port}`]);
    http = createOutboundHttp({
      allow: [`127.0.0.2:${port}`],
      lookup: async (name) => {
        const four = await resolver.resolve4(name).catch(() => []);
        const six = await resolver.resolve6(name).catch(() => []);
        return [...four, ...six];
      },
    });
  });
  beforeEach(() => {
    connections = 0;
    asked = 0;
  });
  afterAll(async () => {
    await http.close();
    await names.close();
    for (const server of [canary, open]) await new Promise((resolve) => server.close(resolve));
  });

  const call = (name = 'evil.example') =>
    http.call({ url: `http://${name}:${port}/`, method: 'GET', timeoutMs: 5_000, maxAnswerBytes: 1_000 });
  async function expectBlocked(): Promise<void> {
    const fault = await call().then(
      () => undefined,
      (error: unknown) => error,
    );
    expect(fault).toBeInstanceOf(OutboundFault);
    expect((fault as OutboundFault).kind).toBe('blocked');
    expect(connections).toBe(0);
  }

  it('cannot move a name inside after the address was saved', async () => {
    answers = [[publicAddress], ['127.0.0.1']];
    await http.checkAddress(`http://evil.example:${port}/`, 'url');
    await expectBlocked();
  });

  it.each([
    [['127.0.0.2', '127.0.0.1']],
    [['127.0.0.1', '127.0.0.2']],
    [[publicAddress, '169.254.169.254']],
    [['127.0.0.2', '::1']],
    [['::ffff:127.0.0.1']],
    [['64:ff9b::7f00:1']],
    [['fd00::1', publicAddress]],
  ])('cannot hide an inner address among others: %j', async (mixed) => {
    answers = [mixed];
    await expectBlocked();
    await expect(http.checkAddress(`http://evil.example:${port}/`, 'url')).rejects.toThrow('blocked');
  });

  it('is asked once for a call, which goes to the very address that was tested', async () => {
    answers = [['127.0.0.2'], ['127.0.0.1']];
    const { status } = await call('once.example');
    expect([status, asked, connections]).toEqual([200, 1, 0]);
  });

  it('cannot turn a connection that stands: a call goes over it, or is tested anew', async () => {
    answers = [['127.0.0.2'], ['127.0.0.1']];
    expect((await call('stands.example')).status).toBe(200);
    for (let times = 0; times < 3; times += 1) {
      const told = await call('stands.example').then(
        ({ status }) => status,
        ({ kind }: OutboundFault) => kind,
      );
      expect([200, 'blocked']).toContain(told);
    }
    expect(connections).toBe(0);
  });

  it('that knows nothing leaves a name that does not resolve', async () => {
    answers = [[]];
    await expect(call('nothing.example')).rejects.toMatchObject({ kind: 'dns' });
  });
});
