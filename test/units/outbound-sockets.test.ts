import { afterEach, describe, expect, it } from '@jest/globals';
import { Agent } from 'undici';
import { createOutboundHttp, type OutboundHttp } from '../../src/domain/outbound-http.ts';

const opened: { close(): Promise<void> }[] = [];
afterEach(() => Promise.all(opened.splice(0).map((one) => one.close())));

function outbound(lookup: () => Promise<string[]>): OutboundHttp {
  const http = createOutboundHttp({ allow: [], lookup });
  opened.push(http);
  return http;
}

describe('what other libraries get of the guard', () => {
  it.each<[string, object, unknown[]]>([
    ['one address', {}, ['93.184.216.34', 4]],
    ['one of the family that it wants', { family: 6 }, ['2606:2800:220:1::1', 6]],
  ])('answers a socket that asks for %s', async (_what, options, expected) => {
    const http = outbound(async () => ['93.184.216.34', '2606:2800:220:1::1']);
    const found = await new Promise((resolve) =>
      http.guardedLookup(443, 'http')('example.com', options, (...answer) => resolve(answer.slice(1))),
    );
    expect(found).toEqual(expected);
  });

  it('tells a socket when a name has no address of the family that it wants', async () => {
    const http = outbound(async () => ['93.184.216.34']);
    const fault = await new Promise((resolve) =>
      http.guardedLookup(443, 'http')('example.com', { family: 6 }, (error) => resolve(error)),
    );
    expect(fault).toMatchObject({ kind: 'dns' });
  });

  it.each(['http://inside.example:8080/', 'https://inside.example/', 'http://127.0.0.1:8080/'])(
    'keeps another pool of undici from %s',
    async (url) => {
      const http = outbound(async () => ['10.0.0.1']);
      const agent = new Agent({ connect: http.guardedConnector({ allowH2: true }) });
      opened.push(agent);
      const { origin, pathname } = new URL(url);
      await expect(agent.request({ origin, path: pathname, method: 'GET' })).rejects.toMatchObject({ kind: 'blocked' });
    },
  );
});
