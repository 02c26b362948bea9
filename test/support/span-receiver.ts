import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Json } from './app.ts';

/** A span as it came in. */
export interface ReceivedSpan {
  name: string;
  traceId: string;
  spanId: string;
  parentSpanId: string;
  attributes: Record<string, string>;
  links: string[];
  isError: boolean;
}

/** Takes spans in the JSON form of OTLP over HTTP. `close` ends it. */
export async function startSpanReceiver() {
  const spans: ReceivedSpan[] = [];
  const texts: string[] = [];
  const server = createServer(async (request, response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const text = Buffer.concat(chunks).toString();
    texts.push(text);
    if (request.url === '/v1/traces') spans.push(...spansOf(JSON.parse(text)));
    response.writeHead(200, { 'content-type': 'application/json' }).end('{}');
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    spans,
    /** All that came in, as it was sent. */
    texts,
    close() {
      server.closeAllConnections();
      server.close();
    },
  };
}

function spansOf(body: Json): ReceivedSpan[] {
  return body.resourceSpans
    .flatMap((resource: Json) => resource.scopeSpans)
    .flatMap((scope: Json) => scope.spans)
    .map((span: Json) => ({
      name: span.name,
      traceId: span.traceId,
      spanId: span.spanId,
      parentSpanId: span.parentSpanId ?? '',
      attributes: Object.fromEntries(
        (span.attributes ?? []).map(({ key, value }: Json) => [key, String(Object.values(value)[0])]),
      ),
      links: (span.links ?? []).map((link: Json) => link.traceId),
      isError: span.status?.code === 2,
    }));
}
