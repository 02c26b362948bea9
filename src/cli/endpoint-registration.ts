import type { Writable } from 'node:stream';
import { z } from 'zod';
import type { ActionEndpoint } from './action-endpoint.ts';
import { CliFailure, sentenceOf } from './failure.ts';
import { type GatewayClient, GraphqlRefusal, refusalOf } from './gateway-client.ts';
import { parleyCommand, printable, printLine } from './terminal.ts';

const sourceList = z.object({
  data: z.array(z.object({ source_id: z.string(), action_endpoint: z.string().nullish() })),
});
const opened = z.object({ openOutbound: z.object({ hostPort: z.string() }) });

/** Where a source was called before a command took its calls over. */
export interface Registration {
  former: string | null;
  /** Puts the former address back, unless somebody has set another one since. Never throws: it tells what went wrong. */
  restore(): Promise<void>;
}

/**
 * Lets a running gateway call this endpoint for the source: opens its host and port outside production and writes its
 * address into the source.
 *
 * @throws CliFailure when there is no such source, or when the address is refused: it names the OUTBOUND_ALLOW to set
 */
export async function registerEndpoint(
  client: GatewayClient,
  { sourceId, endpoint, out }: { sourceId: string; endpoint: ActionEndpoint; out: Writable },
): Promise<Registration> {
  const former = await getEndpoint(client, sourceId);
  const closed = await openOutbound(client, endpoint.hostPort);
  const hint = `start the gateway with OUTBOUND_ALLOW=${endpoint.hostPort} (and give --port, so that it stays the same)`;
  const answer = await client.call('sources.update', { source_id: sourceId, action_endpoint: endpoint.url });
  if (answer.status >= 300) {
    const why = closed ? ` The gateway did not open it either: ${closed}. To allow it, ${hint}.` : '';
    throw new CliFailure(`sources.update: ${refusalOf(answer)}.${why}`);
  }
  if (closed) printLine(out, `The gateway did not open ${endpoint.hostPort}: ${closed}. If no call arrives, ${hint}.`);
  return { former, restore: () => restore(client, { sourceId, endpoint, out, former }) };
}

/** The reason when the gateway does not open the address. */
async function openOutbound(client: GatewayClient, hostPort: string): Promise<string | undefined> {
  const mutation =
    'mutation OpenOutbound($hostPort: String!) { openOutbound(input: { hostPort: $hostPort }) { hostPort } }';
  try {
    await client.graphql(mutation, { hostPort }, opened);
    return undefined;
  } catch (error) {
    if (error instanceof GraphqlRefusal) return error.message.replace(/\.$/, '');
    throw error;
  }
}

async function restore(
  client: GatewayClient,
  {
    sourceId,
    endpoint,
    out,
    former,
  }: { sourceId: string; endpoint: ActionEndpoint; out: Writable; former: string | null },
): Promise<void> {
  try {
    if ((await getEndpoint(client, sourceId)) !== endpoint.url) return;
    await client.rest('sources.update', { source_id: sourceId, action_endpoint: former }, z.unknown());
    printLine(
      out,
      former === null ? 'The source has no action endpoint again.' : `The action endpoint is ${former} again.`,
    );
  } catch (error) {
    printLine(out, `The former action endpoint (${former ?? 'none'}) could not be restored: ${sentenceOf(error)}`);
  }
}

/**
 * The address that the source is called at now, null when it has none.
 *
 * @throws CliFailure when there is no such source
 */
export async function getEndpoint(client: GatewayClient, sourceId: string): Promise<string | null> {
  const { data } = await client.rest('sources.list', {}, sourceList);
  const source = data.find((one) => one.source_id === sourceId);
  if (source) return source.action_endpoint ?? null;
  const command = parleyCommand(['source', 'create', sourceId, '--token', '...']);
  throw new CliFailure(`There is no source "${printable(sourceId)}". To make it:\n  ${command}`);
}
