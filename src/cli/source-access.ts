import { z } from 'zod';
import { CliFailure } from './failure.ts';
import { type Answer, type GatewayClient, GraphqlRefusal, refusalOf } from './gateway-client.ts';
import type { SourceState } from './source-state.ts';

const created = z.object({ token: z.string().min(1) });
const rotated = z.object({ rotateSourceToken: z.object({ token: z.string().min(1) }) });
const channelList = z.object({ data: z.array(z.object({ source_channel_id: z.string() })) });

/** A source that this computer may write as. */
export interface SourceAccess {
  token: string;
  /** The source's ids of its connected channels. */
  channelIds: Set<string>;
  /** created: there was no such source; rotated: its token is new; kept: as the last time. */
  how: 'created' | 'rotated' | 'kept';
}

export interface OpenSource {
  client: GatewayClient;
  state: SourceState;
  source: { source_id: string; name?: string };
  /** Makes a new token where the present one is not known; the old one ends. */
  rotate: boolean;
  /** The command line to show when a new token is needed. */
  commandWithRotate: string;
  attempt: (call: () => Promise<Answer>) => Promise<Answer>;
}

/**
 * Gets the token of a source: the kept one when the gateway still takes it, else that of a source made now, else, with
 * `rotate`, a new one. The kept positions count only while the kept token does: a gateway that does not know it may
 * have another database, where nothing was sent yet.
 *
 * @throws CliFailure when the source exists, its token is not known and `rotate` is not set
 */
export async function openSource(access: OpenSource): Promise<SourceAccess> {
  const { client, state, source, rotate, attempt } = access;
  const kept = state.token === undefined ? undefined : await listedChannels(access, state.token);
  if (kept && !rotate) return { token: state.token ?? '', channelIds: kept, how: 'kept' };
  if (kept) return { token: await newToken(access), channelIds: kept, how: 'rotated' };

  const userToken = client.userToken;
  // Before the call, since its answer cannot be had twice: a folder that cannot be written must show now. What is kept
  // stays until there is something to keep in its place: it may be of another gateway, where it still opens the source.
  await state.save();
  const answer = await attempt(() => client.call('sources.create', source, userToken));
  let how: SourceAccess['how'] = 'created';
  if (answer.status < 300) await state.beginAnew(created.parse(answer.body).token);
  else if (answer.status !== 409) throw new CliFailure(`sources.create: ${refusalOf(answer)}`);
  else if (rotate) {
    how = 'rotated';
    await state.beginAnew(await rotatedToken(access));
  } else {
    throw new CliFailure(
      `The source "${source.source_id}" exists already and its token is not kept here (${state.shownPath}). ` +
        `A new token can be made; the old one ends with it:\n  ${access.commandWithRotate}`,
    );
  }
  const token = state.token ?? '';
  return { token, channelIds: (await listedChannels(access, token)) ?? new Set(), how };
}

/**
 * Makes a new token for a source and keeps it; the old one ends.
 *
 * @throws CliFailure
 */
export async function newToken(access: Pick<OpenSource, 'client' | 'state' | 'source'>): Promise<string> {
  await access.state.save();
  const token = await rotatedToken(access);
  await access.state.keepToken(token);
  return token;
}

async function rotatedToken({ client, source }: Pick<OpenSource, 'client' | 'source'>): Promise<string> {
  const mutation =
    'mutation RotateSourceToken($sourceId: String!) { rotateSourceToken(input: { sourceId: $sourceId }) { token } }';
  try {
    const { rotateSourceToken } = await client.graphql(mutation, { sourceId: source.source_id }, rotated);
    return rotateSourceToken.token;
  } catch (error) {
    if (error instanceof GraphqlRefusal) throw new CliFailure(`The token was not rotated: ${error.message}`);
    throw error;
  }
}

/** The connected channels of the source that the token belongs to; undefined when the gateway does not take it. */
export async function listedChannels(
  { client, attempt }: Pick<OpenSource, 'client' | 'attempt'>,
  token: string,
): Promise<Set<string> | undefined> {
  const answer = await attempt(() => client.call('sources.channels.list', {}, token));
  if (answer.status === 403 || answer.status === 401) return undefined;
  if (answer.status >= 300) throw new CliFailure(`sources.channels.list: ${refusalOf(answer)}`);
  const list = channelList.safeParse(answer.body);
  if (!list.success)
    throw new CliFailure(`sources.channels.list: that is not what a Parley gateway answers; check --url.`);
  return new Set(list.data.data.map((channel) => channel.source_channel_id));
}
