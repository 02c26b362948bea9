import { createServer as createHttpServer, type RequestListener } from 'node:http';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { createServer as createTlsServer } from 'node:tls';
import { brotliCompressSync, deflateSync, gzipSync } from 'node:zlib';
import { afterEach, describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { InvalidInput } from '../../src/domain/errors.ts';
import {
  createOutboundHttp,
  type GuardOptions,
  type OutboundAnswer,
  OutboundFault,
  type OutboundHttp,
  type OutboundRequest,
} from '../../src/domain/outbound-http.ts';
import { OutboundPolicy, parseAddress, type Route } from '../../src/domain/outbound-policy.ts';
import { cert, key } from '../support/self-signed.ts';

const publicAddress = '93.184.216.34';
const ends: (() => unknown)[] = [];

afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end();
});

interface Peer {
  port: number;
  /** Connections made so far. */
  connections(): number;
}

interface Listening {
  listen(port: number, host: string | undefined, listening: () => void): unknown;
  address(): AddressInfo | string | null;
  close(closed: () => void): unknown;
  on(event: 'connection', listener: (socket: Socket) => void): unknown;
}

async function listening(server: Listening, host?: string): Promise<Peer> {
  const sockets: Socket[] = [];
  server.on('connection', (socket) => {
    sockets.push(socket);
    socket.on('error', () => undefined);
  });
  await new Promise<void>((resolve) => server.listen(0, host, resolve));
  ends.push(() => {
    for (const socket of sockets) socket.destroy();
    return new Promise<void>((resolve) => server.close(resolve));
  });
  return { port: (server.address() as AddressInfo).port, connections: () => sockets.length };
}

/** Listens at every address of the machine; nothing may ever connect. */
const canary = () => listening(createServer((socket) => socket.end('HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n')));

const httpPeer = (answer: RequestListener) => listening(createHttpServer(answer), '127.0.0.1');

/** Writes what `answer` writes as soon as a request has come. */
const rawPeer = (answer: (socket: Socket) => void) =>
  listening(
    createServer((socket) => socket.once('data', () => answer(socket))),
    '127.0.0.1',
  );

function outbound(options: Partial<GuardOptions> = {}): OutboundHttp {
  const made = createOutboundHttp({ allow: [], ...options });
  ends.push(() => made.close());
  return made;
}

function call(http: OutboundHttp, url: string, more: Partial<OutboundRequest> = {}): Promise<OutboundAnswer> {
  return http.call({ url, method: 'GET', timeoutMs: 5_000, maxAnswerBytes: 262_144, ...more });
}

/** Calls the peer, which is opened for it. */
function callOpened(peer: Peer, more: Partial<OutboundRequest> = {}): Promise<OutboundAnswer> {
  return call(outbound({ allow: [`127.0.0.1:${peer.port}`] }), `http://127.0.0.1:${peer.port}/`, more);
}

async function faultOf(running: Promise<unknown>): Promise<OutboundFault> {
  const fault = await running.then(
    () => undefined,
    (error: unknown) => error,
  );
  expect(fault).toBeInstanceOf(OutboundFault);
  expect((fault as OutboundFault).message.length).toBeLessThanOrEqual(1_024);
  return fault as OutboundFault;
}

const answersOf =
  (...addresses: string[]) =>
  async () =>
    addresses;

const closedHosts = [
  '127.0.0.1',
  '127.8.9.10',
  '0.0.0.0',
  '0.1.2.3',
  '10.0.0.1',
  '172.16.0.1',
  '172.31.255.255',
  '192.168.1.1',
  '169.254.169.254',
  '100.64.0.1',
  '100.100.100.200',
  '192.0.0.1',
  '192.0.0.170',
  '192.0.0.192',
  '192.0.2.1',
  '192.88.99.1',
  '198.18.0.1',
  '198.19.255.255',
  '198.51.100.1',
  '203.0.113.1',
  '224.0.0.1',
  '239.255.255.255',
  '240.0.0.1',
  '255.255.255.255',
  '168.63.129.16',
  '[::]',
  '[::1]',
  '[::ffff:127.0.0.1]',
  '[::ffff:7f00:1]',
  '[::ffff:8.8.8.8]',
  '[0:0:0:0:0:ffff:7f00:1]',
  '[::127.0.0.1]',
  '[::7f00:1]',
  '[::ffff:0:127.0.0.1]',
  '[64:ff9b::127.0.0.1]',
  '[64:ff9b::7f00:1]',
  '[64:ff9b:1::7f00:1]',
  '[2002:7f00:1::]',
  '[2001::1]',
  '[2001:db8::1]',
  '[3fff::1]',
  '[fc00::1]',
  '[fd00:ec2::254]',
  '[fe80::1]',
  '[fec0::1]',
  '[ff02::1]',
  '[100::1]',
  '[4000::1]',
  'localhost',
  'localhost.',
  'LOCALHOST',
  'app.localhost',
  '127.0.0.1.',
  '127.1',
  '127.0.1',
  '2130706433',
  '0x7f000001',
  '0x7f.1',
  '0177.0.0.1',
  '017700000001',
  '①②⑦.⓪.⓪.①',
  '１２７.0.0.1',
  '127。0。0。1',
  'ⓛⓞⓒⓐⓛⓗⓞⓢⓣ',
];

const openAddresses = ['8.8.8.8', publicAddress, '172.32.0.1', '100.128.0.1', '2606:4700:4700::1111', '2a00:1450::1'];

describe('S: an address that leads inside', () => {
  it('would reach the canary without the guard', async () => {
    const { port, connections } = await canary();
    await fetch(`http://0x7f.1:${port}/`);
    expect(connections()).toBe(1);
  });

  it.each(closedHosts)('is refused at save and at the call, without a connection: %s', async (host) => {
    const { port, connections } = await canary();
    const http = outbound();
    for (const scheme of ['http', 'https']) {
      const url = `${scheme}://${host}:${port}/x`;
      expect((await faultOf(call(http, url))).kind).toBe('blocked');
      await expect(http.checkAddress(url, 'webhookUrl')).rejects.toThrow(InvalidInput);
    }
    expect(connections()).toBe(0);
  });

  it.each(closedHosts.filter((host) => /^[[\d.]/.test(host) && host.includes('.') === !host.includes('[')))(
    'is refused as the answer of a resolver: %s',
    async (host) => {
      const address = new URL(`http://${host}`).hostname.replace(/[[\]]/g, '');
      const http = outbound({ lookup: answersOf(address) });
      expect((await faultOf(call(http, 'http://hook.example/'))).kind).toBe('blocked');
    },
  );

  it('is refused in every numeric spelling', () => {
    const policy = new OutboundPolicy([], () => []);
    const spellings = fc.integer({ min: 0x7f000000, max: 0x7fffffff }).chain((number) => {
      const [a, b, c, d] = [number >>> 24, (number >>> 16) & 255, (number >>> 8) & 255, number & 255];
      return fc.constantFrom(
        `${number}`,
        `0x${number.toString(16)}`,
        `0${number.toString(8)}`,
        `0x${a!.toString(16)}.0${b!.toString(8)}.${(c! << 8) | d!}`,
        `[::ffff:${a}.${b}.${c}.${d}]`,
        `[64:ff9b::${a}.${b}.${c}.${d}]`,
      );
    });
    fc.assert(
      fc.property(spellings, (host) => {
        const hostname = parseAddress(`http://${host}/`).hostname.replace(/[[\]]/g, '');
        expect(policy.isOpen(hostname, { hostname, port: 80, protocol: 'http' })).toBe(false);
      }),
    );
  });

  it('is refused when one of several answers of the resolver leads inside', async () => {
    const { port, connections } = await canary();
    const http = outbound({ lookup: answersOf(publicAddress, '127.0.0.1') });
    expect((await faultOf(call(http, `http://mixed.example:${port}/`))).kind).toBe('blocked');
    await expect(http.checkAddress(`http://mixed.example:${port}/`, 'url')).rejects.toThrow('url: blocked');
    expect(connections()).toBe(0);
  });

  it('is refused when the name moved there after it was saved', async () => {
    const { port, connections } = await canary();
    const answers = [publicAddress, '127.0.0.1'];
    const http = outbound({ lookup: async () => [answers.shift()!] });
    await http.checkAddress(`http://rebind.example:${port}/`, 'url');
    expect((await faultOf(call(http, `http://rebind.example:${port}/`))).kind).toBe('blocked');
    expect(connections()).toBe(0);
  });

  it('is tested once more when the socket is connected, before anything is sent', async () => {
    let asked = 0;
    let received = 0;
    const peer = await listening(createServer((socket) => socket.on('data', () => received++)));
    const ownPorts = () => (asked++ === 0 ? [] : [peer.port]);
    const http = outbound({ allow: ['127.0.0.0/8'], ownPorts });
    expect((await faultOf(call(http, `http://127.0.0.1:${peer.port}/`))).kind).toBe('blocked');
    expect(received).toBe(0);
  });

  it('is not named in the fault', async () => {
    const http = outbound({ lookup: answersOf('10.20.30.40') });
    const fault = await faultOf(call(http, 'http://inside.example/'));
    expect(`${fault.message} ${fault.stack} ${JSON.stringify(fault)}`).not.toContain('10.20');
    expect(fault.message).toMatch(/^blocked/);
  });

  it('does not open sockets of libraries either', async () => {
    const { port, connections } = await canary();
    const http = outbound();
    const target = { port, protocol: 'smtp', timeoutMs: 1_000 } as const;
    for (const host of ['127.0.0.1', '[::1]', '::1', '0x7f.1', 'localhost.']) {
      expect((await faultOf(http.guardedConnect({ ...target, host }))).kind).toBe('blocked');
    }
    expect((await faultOf(http.guardedConnect({ ...target, host: 'a@127.0.0.1' }))).kind).toBe('invalid');
    expect(connections()).toBe(0);
  });
});

describe('the policy', () => {
  const at = (hostname: string, port = 443): Route => ({ hostname, port, protocol: 'http' });

  it.each(openAddresses)('opens the public address %s', (address) => {
    expect(new OutboundPolicy([], () => []).isOpen(address, at(address))).toBe(true);
  });

  it.each([0, 22, 25, 465, 3306, 5432, 6379, 4000])('closes port %i of public addresses, ours included', (port) => {
    const policy = new OutboundPolicy([], () => [4000]);
    expect(policy.isOpen(publicAddress, at(publicAddress, port))).toBe(false);
  });

  it('leaves 443 open when we listen there ourselves', () => {
    expect(new OutboundPolicy([], () => [443]).isOpen(publicAddress, at(publicAddress))).toBe(true);
  });

  it('opens the ports of mail to mail clients', () => {
    const route: Route = { hostname: publicAddress, port: 25, protocol: 'smtp' };
    expect(new OutboundPolicy([], () => []).isOpen(publicAddress, route)).toBe(true);
    expect(new OutboundPolicy([], () => []).isOpen(publicAddress, { ...route, port: 22 })).toBe(false);
  });

  it('opens a range at the ports that are not closed, and one more by name', () => {
    const policy = new OutboundPolicy(['10.0.0.0/8', '10.1.1.1:5432', '[fd00::5]:80'], () => []);
    const isOpen = (address: string, port: number) => policy.isOpen(address, at(address, port));
    expect([isOpen('10.1.1.1', 80), isOpen('10.1.1.1', 5432), isOpen('10.1.1.2', 5432)]).toEqual([true, true, false]);
    expect([isOpen('fd00:0:0::5', 80), isOpen('fd00::5', 81), isOpen('11.0.0.1', 80)]).toEqual([true, false, true]);
    expect([isOpen('::ffff:10.1.1.1', 80), isOpen('192.168.0.1', 80)]).toEqual([false, false]);
  });
});

describe('OUTBOUND_ALLOW', () => {
  it('opens exactly the pair', async () => {
    const wanted = await httpPeer((_, answer) => answer.end('ok'));
    const other = await canary();
    const http = outbound({ allow: [`127.0.0.1:${wanted.port}`], lookup: answersOf('127.0.0.1') });
    for (const host of ['127.0.0.1', '0x7f.1', 'localhost', 'names.example']) {
      expect((await call(http, `http://${host}:${wanted.port}/`)).status).toBe(200);
      expect((await faultOf(call(http, `http://${host}:${other.port}/`))).kind).toBe('blocked');
    }
    for (const host of ['127.0.0.2', '[::1]', '[::ffff:127.0.0.1]', '0.0.0.0']) {
      expect((await faultOf(call(http, `http://${host}:${wanted.port}/`))).kind).toBe('blocked');
    }
    await http.checkAddress(`http://127.0.0.1:${wanted.port}/`, 'url');
    expect(other.connections()).toBe(0);
  });

  it('opens a name wherever it leads, and no other name that leads there', async () => {
    const { port } = await httpPeer((_, answer) => answer.end('ok'));
    const http = outbound({ allow: [`Hooks.Internal:${port}`], lookup: answersOf('127.0.0.1') });
    expect((await call(http, `http://hooks.internal:${port}/`)).status).toBe(200);
    for (const host of ['127.0.0.1', 'other.internal']) {
      expect((await faultOf(call(http, `http://${host}:${port}/`))).kind).toBe('blocked');
    }
  });

  it('is widened while we run, and connections made before are not used again', async () => {
    const first = await httpPeer((_, answer) => answer.end('ok'));
    const second = await httpPeer((_, answer) => answer.end('ok'));
    const http = outbound({ allow: [`127.0.0.1:${first.port}`] });
    await call(http, `http://127.0.0.1:${first.port}/`);
    expect((await faultOf(call(http, `http://127.0.0.1:${second.port}/`))).kind).toBe('blocked');
    http.allow(`127.0.0.1:${second.port}`);
    expect((await call(http, `http://127.0.0.1:${second.port}/`)).status).toBe(200);
    await call(http, `http://127.0.0.1:${first.port}/`);
    expect(first.connections()).toBe(2);
  });

  it.each(['nonsense', '10.0.0.0/8', 'a:b', 'x y:80', 'a/b:80'])('takes only host:port while we run: %s', (entry) => {
    expect(() => outbound().allow(entry)).toThrow(InvalidInput);
  });
});

describe('an address at save', () => {
  it.each([
    'ftp://example.com/',
    'file:///etc/passwd',
    'unix:/var/run/docker.sock',
    'javascript:alert(1)',
    'example.com/hook',
    '',
    'http://',
    'http://user:password@example.com/',
    'http://user@example.com/',
    'http://exa\tmple.com/',
    'http://127.0.\n0.1/',
    `https://example.com/${'x'.repeat(9_000)}`,
  ])('is refused with the place and what would be right: %j', async (url) => {
    const http = outbound({ lookup: answersOf(publicAddress) });
    await expect(http.checkAddress(url, 'endpoint.url')).rejects.toThrow(/^endpoint\.url: must /);
    expect((await faultOf(call(http, url))).kind).toBe('invalid');
  });

  it('is taken when its name does not resolve', async () => {
    const lookup = () => Promise.reject(Object.assign(new Error('no'), { code: 'ENOTFOUND' }));
    const http = outbound({ lookup });
    await http.checkAddress('https://not-yet.example/hook', 'url');
    expect(await faultOf(call(http, 'https://not-yet.example/hook'))).toMatchObject({
      kind: 'dns',
      message: 'the name does not resolve (ENOTFOUND)',
    });
  });

  it('never throws anything else', () => {
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.webUrl(), fc.string({ unit: 'binary' })), (text) => {
        try {
          expect(parseAddress(text)).toBeInstanceOf(URL);
        } catch (fault) {
          expect(fault).toBeInstanceOf(OutboundFault);
        }
      }),
    );
  });
});

describe('a call', () => {
  it.each([301, 302, 303, 307, 308])('returns a %i and does not follow it', async (status) => {
    const target = await canary();
    const peer = await httpPeer((_, answer) =>
      answer.writeHead(status, { location: `http://127.0.0.1:${target.port}/` }).end(),
    );
    const http = outbound({ allow: [`127.0.0.1:${peer.port}`, `127.0.0.1:${target.port}`] });
    expect((await call(http, `http://127.0.0.1:${peer.port}/`)).status).toBe(status);
    expect(target.connections()).toBe(0);
  });

  it('sends method, path, headers and body, and gives the answer back', async () => {
    const peer = await httpPeer(async (request, answer) => {
      const parts: Buffer[] = [];
      for await (const part of request) parts.push(part as Buffer);
      const seen = { method: request.method, url: request.url, body: Buffer.concat(parts).toString() };
      answer.writeHead(418, { 'x-seen': JSON.stringify(seen), 'x-two': ['a', 'b'] }).end('tea');
    });
    const answer = await callOpened(peer, { method: 'PUT', body: 'content', headers: { 'X-Mine': '1' } });
    expect(answer).toMatchObject({ status: 418, body: Buffer.from('tea') });
    expect(answer.headers).toMatchObject({ 'x-two': 'a, b' });
    expect(JSON.parse(answer.headers['x-seen']!)).toEqual({ method: 'PUT', url: '/', body: 'content' });
  });

  it('leaves out headers of the connection and keys to cloud metadata', async () => {
    const peer = await httpPeer((request, answer) => answer.end(JSON.stringify(request.headers)));
    const { body } = await callOpened(peer, {
      headers: {
        Host: 'evil.example',
        'Transfer-Encoding': 'chunked',
        'Content-Length': '99',
        Connection: 'upgrade',
        'Metadata-Flavor': 'Google',
        'X-aws-ec2-metadata-token': 'x',
        'X-Mine': 'kept',
      },
    });
    const seen = JSON.parse(body.toString()) as Record<string, string>;
    expect(seen).toEqual({
      host: `127.0.0.1:${peer.port}`,
      connection: 'keep-alive',
      'user-agent': 'Parley',
      'x-mine': 'kept',
    });
  });

  it.each([
    ['x-a', 'b\r\nx-evil: 1'],
    ['x-a', 'b\nc'],
    ['x-a', 'b\u0000c'],
    ['x-a', 'secret ✓'],
    ['x-a\r\nx-evil', 'b'],
    ['x a', 'b'],
    ['', 'b'],
  ])('refuses a header that HTTP cannot carry: %j: %j', async (name, value) => {
    const { port, connections } = await canary();
    const http = outbound({ allow: [`127.0.0.1:${port}`] });
    const fault = await faultOf(call(http, `http://127.0.0.1:${port}/`, { headers: { [name]: value } }));
    expect(fault.kind).toBe('invalid');
    expect(fault.message).not.toContain('secret');
    expect(connections()).toBe(0);
  });

  it('ignores the proxy variables', async () => {
    const proxy = await canary();
    const peer = await httpPeer((_, answer) => answer.end('ok'));
    const names = ['HTTP_PROXY', 'http_proxy', 'HTTPS_PROXY', 'ALL_PROXY', 'NODE_USE_ENV_PROXY'];
    const before = names.map((name) => process.env[name]);
    ends.push(() =>
      names.forEach((name, i) => {
        if (before[i] === undefined) delete process.env[name];
        else process.env[name] = before[i];
      }),
    );
    for (const name of names) process.env[name] = `http://127.0.0.1:${proxy.port}`;
    expect((await callOpened(peer)).status).toBe(200);
    expect(proxy.connections()).toBe(0);
  });

  it('keeps one connection for calls that follow each other, at the address it was made for', async () => {
    const peer = await httpPeer((_, answer) => answer.end('ok'));
    const answers = [['127.0.0.1'], ['10.0.0.1']];
    let lookups = 0;
    const lookup = async () => answers[lookups++]!;
    const http = outbound({ allow: [`127.0.0.1:${peer.port}`], lookup });
    for (let i = 0; i < 20; i++) {
      await call(http, `http://pinned.example:${peer.port}/`);
      // The pool takes a connection back one turn of the event loop after its answer.
      await new Promise((resolve) => setImmediate(resolve));
    }
    expect(lookups).toBe(1);
    expect(peer.connections()).toBe(1);
  });

  it('asks the resolver once for calls that begin together', async () => {
    const peer = await httpPeer((_, answer) => answer.end('ok'));
    let lookups = 0;
    const lookup = async () => {
      lookups++;
      return ['127.0.0.1'];
    };
    const http = outbound({ allow: [`127.0.0.1:${peer.port}`], lookup });
    const calls = Array.from({ length: 8 }, () => call(http, `http://together.example:${peer.port}/`));
    expect((await Promise.all(calls)).map(({ status }) => status)).toEqual(Array(8).fill(200));
    expect(lookups).toBe(1);
  });

  it("ends with the caller's reason when the caller gives up", async () => {
    const gaveUp = new Error('draining');
    const caller = new AbortController();
    const peer = await rawPeer(() => caller.abort(gaveUp));
    await expect(callOpened(peer, { signal: caller.signal })).rejects.toBe(gaveUp);
    await expect(callOpened(peer, { signal: caller.signal })).rejects.toBe(gaveUp);
  });

  it('fails with reset when we close', async () => {
    let http: OutboundHttp | undefined;
    const peer = await rawPeer(() => void http?.close());
    http = outbound({ allow: [`127.0.0.1:${peer.port}`] });
    expect((await faultOf(call(http, `http://127.0.0.1:${peer.port}/`))).kind).toBe('reset');
  });
});

describe('a peer that misbehaves', () => {
  const head = (headers: string) => `HTTP/1.1 200 OK\r\n${headers}\r\n\r\n`;

  it('that refuses connections is a connect fault without the address', async () => {
    const gone = createServer();
    await new Promise<void>((resolve) => gone.listen(0, '127.0.0.1', resolve));
    const { port } = gone.address() as AddressInfo;
    await new Promise<void>((resolve) => gone.close(() => resolve()));
    const fault = await faultOf(callOpened({ port, connections: () => 0 }));
    expect(fault).toMatchObject({ kind: 'connect', message: 'no connection (ECONNREFUSED)' });
  });

  const slow: [string, (socket: Socket) => void][] = [
    ['hangs', () => undefined],
    ['sends headers, then hangs', (socket) => socket.write(head('content-length: 5'))],
    ['drips its headers', (socket) => drip(socket, 'HTTP/1.1 200 OK\r\nx-a: ')],
    ['drips its body', (socket) => drip(socket, head('content-length: 100000'))],
    ['sends interim answers for ever', (socket) => drip(socket, '', 'HTTP/1.1 102 Processing\r\n\r\n')],
  ];

  function drip(socket: Socket, first: string, each = 'x'): void {
    socket.write(first);
    const timer = setInterval(() => socket.write(each), 10);
    socket.once('close', () => clearInterval(timer));
  }

  it.each(slow)('that %s is cut at the total time', async (_, answer) => {
    const startedAt = performance.now();
    const fault = await faultOf(callOpened(await rawPeer(answer), { timeoutMs: 300 }));
    expect(fault).toMatchObject({ kind: 'timeout', message: 'no full answer within 300 ms' });
    const tookMs = performance.now() - startedAt;
    expect(tookMs).toBeGreaterThanOrEqual(295);
    expect(tookMs).toBeLessThan(1_500);
  });

  it('that never ends the TLS handshake is cut at the total time', async () => {
    const peer = await rawPeer(() => undefined);
    const http = outbound({ allow: [`127.0.0.1:${peer.port}`] });
    const fault = await faultOf(call(http, `https://127.0.0.1:${peer.port}/`, { timeoutMs: 200 }));
    expect(fault.kind).toBe('timeout');
  });

  it('whose name is never resolved is cut at the total time', async () => {
    const http = outbound({ lookup: () => new Promise<never>(() => undefined) });
    expect((await faultOf(call(http, 'http://slow.example/', { timeoutMs: 100 }))).kind).toBe('timeout');
  });

  it('whose name is resolved after the call was given up gets nothing of it', async () => {
    const requests: (string | undefined)[] = [];
    const peer = await httpPeer((request, answer) => {
      requests.push(request.url);
      answer.end('ok');
    });
    let resolved: (addresses: string[]) => void = () => undefined;
    const addresses = new Promise<string[]>((resolve) => {
      resolved = resolve;
    });
    const http = outbound({ allow: [`127.0.0.1:${peer.port}`], lookup: () => addresses });
    const origin = `http://late.example:${peer.port}`;
    expect((await faultOf(call(http, `${origin}/given-up`, { timeoutMs: 50 }))).kind).toBe('timeout');
    resolved(['127.0.0.1']);
    expect((await call(http, `${origin}/next`)).status).toBe(200);
    expect((await call(http, `${origin}/next`)).status).toBe(200);
    expect(requests).toEqual(['/next', '/next']);
  });

  it('that has no TLS, or a certificate nobody signed or for another name, is a tls fault', async () => {
    const plain = await rawPeer((socket) => socket.end('220 ready\r\n'));
    const signed = await listening(
      createTlsServer({ key, cert }, (socket) => socket.end()).on('tlsClientError', () => undefined),
      '127.0.0.1',
    );
    for (const { port } of [plain, signed]) {
      const http = outbound({ allow: [`127.0.0.1:${port}`], lookup: answersOf('127.0.0.1') });
      expect((await faultOf(call(http, `https://127.0.0.1:${port}/`))).kind).toBe('tls');
      expect((await faultOf(call(http, `https://other.example:${port}/`))).kind).toBe('tls');
    }
  });

  const flood = (socket: Socket, first: string, chunk: Buffer, limit: number) => {
    let sent = 0;
    const closed = new Promise<number>((resolve) => socket.once('close', () => resolve(sent)));
    const more = () => {
      while (!socket.destroyed && sent < limit) {
        sent += chunk.length;
        if (!socket.write(chunk)) return void socket.once('drain', more);
      }
    };
    socket.write(first);
    more();
    return closed;
  };
  const kilobytes = Buffer.alloc(65_536, 'x');
  const chunked = Buffer.concat([Buffer.from('10000\r\n'), kilobytes, Buffer.from('\r\n')]);

  it.each([
    ['100 MB', head(`content-length: ${100 * 2 ** 20}`), kilobytes],
    ['endless chunks', head('transfer-encoding: chunked'), chunked],
    ['an endless body', head('connection: close'), kilobytes],
  ])('that sends %s is cut at the cap', async (_, first, chunk) => {
    let sent: Promise<number> | undefined;
    const peer = await rawPeer((socket) => {
      sent = flood(socket, first, chunk, 100 * 2 ** 20);
    });
    expect((await faultOf(callOpened(peer))).kind).toBe('too-large');
    // What the peer got rid of lies in the buffers of the two sockets.
    expect(await sent).toBeLessThan(32 * 2 ** 20);
  });

  const zeros = Buffer.alloc(64 * 2 ** 20);
  const bombs: [string, Buffer][] = [
    ['gzip', gzipSync(zeros)],
    ['deflate', deflateSync(zeros)],
    ['br', brotliCompressSync(zeros)],
    ['gzip, gzip', gzipSync(gzipSync(zeros))],
    ['gzip, br', brotliCompressSync(gzipSync(zeros))],
  ];

  it.each(bombs)('that sends a bomb of %s is cut at the cap of decoded bytes', async (coding, bomb) => {
    const peer = await httpPeer((_, answer) => answer.writeHead(200, { 'content-encoding': coding }).end(bomb));
    expect((await faultOf(callOpened(peer))).kind).toBe('too-large');
  });

  it('that sends headers without end is cut', async () => {
    const peer = await rawPeer((socket) => socket.write(`HTTP/1.1 200 OK\r\nx-a: ${'x'.repeat(100_000)}`));
    expect((await faultOf(callOpened(peer))).kind).toBe('too-large');
  });

  it('takes an answer of exactly the cap, also in single bytes', async () => {
    const bytes = '1\r\nx\r\n'.repeat(10_000);
    const peer = await rawPeer((socket) => socket.write(`${head('transfer-encoding: chunked')}${bytes}0\r\n\r\n`));
    expect((await callOpened(peer, { maxAnswerBytes: 10_000 })).body.toString()).toBe('x'.repeat(10_000));
    expect((await faultOf(callOpened(peer, { maxAnswerBytes: 9_999 }))).kind).toBe('too-large');
  });

  it.each([
    ['gzip', gzipSync('text')],
    ['x-gzip', gzipSync('text')],
    ['deflate', deflateSync('text')],
    ['BR', brotliCompressSync('text')],
    ['gzip, br', brotliCompressSync(gzipSync('text'))],
    ['identity', Buffer.from('text')],
  ])('is read when its content-encoding is %s', async (coding, content) => {
    const peer = await httpPeer((_, answer) => answer.writeHead(200, { 'content-encoding': coding }).end(content));
    expect((await callOpened(peer)).body.toString()).toBe('text');
  });

  it.each([
    ['unknown', 'text'],
    ['constructor', 'text'],
    ['gzip, gzip, gzip', 'text'],
    ['gzip', 'text'],
    ['br', 'text'],
    ['gzip', gzipSync('a longer text').subarray(0, 20)],
  ])('is a decode fault when its body is not what content-encoding %s says', async (coding, content) => {
    const peer = await httpPeer((_, answer) => answer.writeHead(200, { 'content-encoding': coding }).end(content));
    expect((await faultOf(callOpened(peer))).kind).toBe('decode');
  });

  it.each(['HEAD', 'GET'] as const)('may name a content-encoding for no body at all: %s', async (method) => {
    const peer = await httpPeer((_, answer) =>
      answer.writeHead(200, { 'content-encoding': 'gzip', ...(method === 'GET' && { 'content-length': 0 }) }).end(),
    );
    expect((await callOpened(peer, { method })).body).toHaveLength(0);
  });

  it.each<[string, OutboundFault['kind'], (socket: Socket) => void]>([
    ['promises more bytes than it sends', 'reset', (socket) => socket.end(`${head('content-length: 10')}short`)],
    [
      'ends in the middle of its chunks',
      'reset',
      (socket) => socket.end(`${head('transfer-encoding: chunked')}5\r\nab`),
    ],
    ['resets', 'reset', (socket) => socket.resetAndDestroy()],
    ['ends without an answer', 'reset', (socket) => socket.end()],
    ['speaks another protocol', 'decode', (socket) => socket.end('SSH-2.0-OpenSSH_9.9\r\n')],
    ['gives two lengths', 'reset', (socket) => socket.end(head('content-length: 1\r\ncontent-length: 2'))],
  ])('that %s is a fault: %s', async (_, kind, answer) => {
    expect((await faultOf(callOpened(await rawPeer(answer)))).kind).toBe(kind);
  });

  it('that sends more than it promises does not answer the next call with it', async () => {
    let answered = 0;
    const extra = head('content-length: 4\r\nx-evil: 1');
    const peer = await listening(
      createServer((socket) =>
        socket.on('data', () => socket.write(`${head(`content-length: 2\r\nx-n: ${++answered}`)}ok${extra}evil`)),
      ),
      '127.0.0.1',
    );
    const http = outbound({ allow: [`127.0.0.1:${peer.port}`] });
    for (const n of ['1', '2', '3']) {
      const answer = await call(http, `http://127.0.0.1:${peer.port}/`);
      expect([answer.body.toString(), answer.headers['x-n'], answer.headers['x-evil']]).toEqual(['ok', n, undefined]);
    }
  });
});

describe('a guarded socket', () => {
  it('is connected to what is open', async () => {
    const peer = await listening(
      createServer((socket) => socket.write('220 ready\r\n')),
      '127.0.0.1',
    );
    const http = outbound({ allow: [`mail.internal:${peer.port}`], lookup: answersOf('127.0.0.1') });
    const target = { host: 'mail.internal', port: peer.port, protocol: 'smtp', timeoutMs: 5_000 } as const;
    const socket = await http.guardedConnect(target);
    ends.push(() => socket.destroy());
    const greeting = await new Promise<string>((resolve) => socket.once('data', (data) => resolve(data.toString())));
    expect(greeting).toBe('220 ready\r\n');
  });

  it('tests names by the lookup it gives to libraries', async () => {
    const http = outbound({ lookup: async (name) => [name === 'inside.example' ? '10.0.0.1' : publicAddress] });
    const lookup = (name: string) =>
      new Promise((resolve, reject) =>
        http.guardedLookup(587, 'smtp')(name, { all: true }, (error, found) =>
          error ? reject(error) : resolve(found),
        ),
      );
    await expect(lookup('outside.example')).resolves.toEqual([{ address: publicAddress, family: 4 }]);
    await expect(lookup('inside.example')).rejects.toMatchObject({ kind: 'blocked' });
  });
});
