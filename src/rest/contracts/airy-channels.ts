import { z } from 'zod';
import { NotFound } from '../../domain/errors.ts';
import { type Row, row } from '../run-row.ts';
import * as answers from './airy.answers.ts';
import { defined, id, optionalText, text } from './airy.inputs.ts';
import { type ChannelData, channelFields, channelPayload } from './airy.payloads.ts';

interface ConnectData {
  connected: { channel: ChannelData; changed: boolean };
}

const connectChannel = `mutation ($input: ConnectChannelInput!) {
  connected: connectChannel(input: $input) { changed channel { ${channelFields} } } }`;
const connectedPayload = ({ connected }: ConnectData) => channelPayload(connected.channel);

const exploreChannels = `query ($sourceId: String!, $token: String) {
  found: exploreChannels(sourceId: $sourceId, token: $token) { name sourceId sourceChannelId imageUrl connected } }`;

interface ExploredData {
  found: { name: string; sourceId: string; sourceChannelId: string; imageUrl: string | null; connected: boolean }[];
}

const exploredPayload = ({ found }: ExploredData) => ({
  data: found.map(({ name, sourceId, sourceChannelId, imageUrl, connected }) => ({
    name,
    source: sourceId,
    source_channel_id: sourceChannelId,
    connected,
    ...(imageUrl !== null && { image_url: imageUrl }),
  })),
});

const withName = { name: optionalText, image_url: optionalText };

type Given = Record<string, string | boolean | string[] | null | undefined>;

/** The form of one vendor: what names the channel on its side, and all else that is not shown as its settings. */
function connectOf(sourceId: string, fields: z.ZodRawShape, sourceChannelIdOf: (given: Given) => string): Row {
  const [naming] = Object.keys(fields);
  return row({
    says: `Connects a channel of ${sourceId}. As long as Parley has no connector for it: 400.`,
    runs: connectChannel,
    in: z.object(fields).transform((body) => {
      const given = body as Given;
      const { name, image_url: imageUrl, ...rest } = given;
      const settings = Object.fromEntries(
        Object.entries(rest)
          .filter(([, value]) => value != null)
          .map(([key, value]) => [key, typeof value === 'string' ? value : JSON.stringify(value)]),
      );
      return { input: defined({ sourceId, sourceChannelId: sourceChannelIdOf(given), name, imageUrl, settings }) };
    }),
    // What names the channel stands first.
    renames: {
      sourceChannelId: naming!,
      ...Object.fromEntries(Object.keys(fields).map((name) => [`settings.${name}`, name])),
    },
    answer: answers.channel,
    out: connectedPayload,
  });
}

const field = (name: string) => (given: Given) => String(given[name]);
const phoneNumber = (given: Given) => String(given.phone_number).replaceAll(/\s/g, '');
const twilio = { phone_number: text, ...withName, name: text, account_sid: optionalText, auth_token: optionalText };

const disconnect = row({
  says: 'Disconnects a channel, of whatever source it is, and deletes its credentials.',
  runs: 'mutation ($input: ChannelInput!) { disconnectChannel(input: $input) { changed } }',
  status: 204,
  in: z.object({ channel_id: id }).transform((body) => ({ input: { channelId: body.channel_id } })),
});

const vendors: Record<string, Row> = {
  facebook: connectOf('facebook', { page_id: text, page_token: text, ...withName }, field('page_id')),
  instagram: connectOf(
    'instagram',
    { account_id: text, page_id: text, page_token: text, ...withName },
    field('account_id'),
  ),
  'twilio.sms': connectOf('twilio.sms', twilio, phoneNumber),
  'twilio.whatsapp': connectOf('twilio.whatsapp', twilio, (given) => `whatsapp:${phoneNumber(given)}`),
  email: connectOf(
    'email',
    { address: text, ...withName, name: text, smtp_url: optionalText, reply_to: optionalText },
    (given) => String(given.address).trim().toLowerCase(),
  ),
  fcm: connectOf('fcm', { project_id: text, service_account: text, ...withName, name: text }, field('project_id')),
  apns: connectOf(
    'apns',
    { topic: text, team_id: text, key_id: text, key: text, sandbox: z.boolean().nullish(), ...withName },
    field('topic'),
  ),
  webpush: connectOf('webpush', { name: text, contact: text, image_url: optionalText }, field('name')),
  webchat: connectOf(
    'webchat',
    { name: text, image_url: optionalText, allowed_origins: z.array(z.string()).nullish() },
    field('name'),
  ),
};

const facebookExplore = (tokenField: string) =>
  row({
    says: 'What could be connected with this token. As long as Parley has no connector for it: 400.',
    runs: exploreChannels,
    in: z.object({ [tokenField]: text }).transform((body) => ({ sourceId: 'facebook', token: body[tokenField] })),
    answer: answers.exploredChannels,
    out: exploredPayload,
  });

/** Channels of any source, and the forms of later versions for each vendor. @see contracts, sections 2, 5 and 6 */
export const airyChannels: Record<string, Row> = {
  'channels.connect': row({
    says: 'Connects a channel of a source; 202 when it was connected already. The same channel keeps its id.',
    runs: connectChannel,
    // Connected already: 202.
    status: ({ connected }: ConnectData) => (connected.changed ? 200 : 202),
    in: z
      .object({ source: text, source_channel_id: text, token: optionalText, ...withName })
      .transform(({ source: sourceId, source_channel_id: sourceChannelId, token, name, image_url: imageUrl }) => ({
        input: defined({ sourceId, sourceChannelId, name, imageUrl, ...(token != null && { settings: { token } }) }),
      })),
    renames: { 'settings.token': 'token' },
    answer: answers.channel,
    out: connectedPayload,
  }),

  'channels.explore': row({
    runs: exploreChannels,
    in: z.object({ source: text, token: text }).transform(({ source: sourceId, token }) => ({ sourceId, token })),
    answer: answers.exploredChannels,
    out: exploredPayload,
  }),

  'channels.info': row({
    says: 'One channel.',
    runs: `query ($id: ID!) { channel(id: $id) { ${channelFields} } }`,
    in: z.object({ channel_id: id }).transform((body) => ({ id: body.channel_id })),
    answer: answers.channel,
    out({ channel }: { channel: ChannelData | null }, variables) {
      if (!channel) throw new NotFound('channel', variables.id);
      return channelPayload(channel);
    },
  }),

  'channels.update': row({
    runs: `mutation ($input: UpdateChannelInput!) { updated: updateChannel(input: $input) { channel { ${channelFields} } } }`,
    in: z.object({ channel_id: id, ...withName }).transform(({ channel_id: channelId, name, image_url: imageUrl }) => ({
      input: defined({ channelId, name, imageUrl }),
    })),
    answer: answers.channel,
    out: ({ updated }: { updated: { channel: ChannelData } }) => channelPayload(updated.channel),
  }),

  ...Object.fromEntries(Object.entries(vendors).map(([name, connect]) => [`channels.${name}.connect`, connect])),
  // Whatever the path says, any channel: clients remember the first one they used.
  ...Object.fromEntries(Object.keys(vendors).map((name) => [`channels.${name}.disconnect`, disconnect])),

  'channels.facebook.explore': facebookExplore('auth_token'),
  'facebook.channels.explore': facebookExplore('token'),
};
