/** The one place of snake_case: what both ages of Airy clients find in our answers. */

export interface SenderData {
  __typename: 'Contact' | 'User' | 'Source';
  legacyId: string;
  displayName?: string;
  isNamed?: boolean;
  avatarUrl?: string | null;
  firstName?: string;
  lastName?: string;
  name?: string | null;
  imageUrl?: string | null;
}

export interface MessageData {
  legacyId: string;
  raw: unknown;
  deliveryState: 'PENDING' | 'SENT' | 'DELIVERED' | 'READ' | 'FAILED';
  senderType: 'CONTACT' | 'USER' | 'BOT' | 'CAMPAIGN' | 'SOURCE';
  senderId: string;
  fromContact: boolean;
  sentAt: string;
  metadata: Record<string, unknown>;
  sender: SenderData | null;
}

/** Selection of a message. */
export const messageFields = `
  legacyId raw deliveryState senderType senderId fromContact sentAt metadata
  sender { __typename
    ... on Contact { legacyId displayName isNamed avatarUrl }
    ... on User { legacyId firstName lastName avatarUrl }
    ... on Source { legacyId name imageUrl } }`;

const states = { PENDING: 'pending', SENT: 'pending', DELIVERED: 'delivered', READ: 'delivered', FAILED: 'failed' };
const senderTypes = {
  CONTACT: 'source_contact',
  SOURCE: 'source_user',
  USER: 'app_user',
  BOT: 'app_user',
  CAMPAIGN: 'app_user',
};

/** Where a message stands: what its sender's default name is made of. */
export interface MessagePlace {
  sourceId: string;
  conversationId: string;
}

export function messagePayload(message: MessageData, place: MessagePlace) {
  const state = states[message.deliveryState];
  return {
    id: message.legacyId,
    content: contentPayload(withResolved(message.raw, message.metadata)),
    state,
    delivery_state: state,
    sender_type: senderTypes[message.senderType],
    from_contact: message.fromContact,
    sender: senderPayload(message, place),
    sent_at: message.sentAt,
    source: place.sourceId,
    metadata: message.metadata,
  };
}

/** A message together with where it stands. */
export interface SentData {
  sent: { message: MessageData & { conversation: { legacyId: string; sourceId: string } } };
}

export const sentFields = `message { ${messageFields} conversation { legacyId sourceId } }`;

export function sentPayload({ sent: { message } }: SentData) {
  const { sourceId, legacyId: conversationId } = message.conversation;
  return messagePayload(message, { sourceId, conversationId });
}

const resolvedMark = 'data_';
const mostCopies = 20;
const longestAddress = 2_048;
/** Characters that copies may add to a content. */
const mostAdded = 65_536;

// A source that keeps a copy of a file tells its address in the metadata, under `data_<address in the content>`.
function withResolved(raw: unknown, metadata: Record<string, unknown>): unknown {
  const copies = new Map<string, string>();
  for (const key in metadata) {
    if (key.startsWith(resolvedMark)) noteCopies(metadata[key], key.slice(resolvedMark.length), copies);
  }
  if (copies.size === 0) return raw;
  const addresses = [...copies.keys()].map((address) => address.replaceAll(/[\\^$.*+?()[\]{}|]/g, '\\$&'));
  const pattern = new RegExp(addresses.join('|'), 'g');
  let room = mostAdded;
  const replaceIn = (text: string) =>
    text.replace(pattern, (address) => {
      const copy = copies.get(address)!;
      room -= copy.length;
      return room < 0 ? address : copy;
    });
  return mapTexts(raw, replaceIn);
}

// Dots in a key nest, and addresses have some. Only what is an address on both sides counts.
function noteCopies(value: unknown, address: string, copies: Map<string, string>): void {
  if (copies.size >= mostCopies || address.length > longestAddress || !/^https?:/.test(address)) return;
  if (typeof value !== 'string') {
    for (const [key, inner] of Object.entries(objectOf(value))) noteCopies(inner, `${address}.${key}`, copies);
  } else if (value.length <= longestAddress && /^https?:\/\/./.test(value) && address.length > 'https://'.length) {
    copies.set(address, value);
  }
}

function mapTexts(value: unknown, work: (text: string) => string): unknown {
  if (typeof value === 'string') return work(value);
  if (Array.isArray(value)) return value.map((item) => mapTexts(item, work));
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, mapTexts(inner, work)]));
}

// Older clients choose how to show a content by its type.
function contentPayload(raw: unknown): unknown {
  const isObject = typeof raw === 'object' && raw !== null && !Array.isArray(raw);
  return isObject && 'text' in raw && !('type' in raw) ? { ...raw, type: 'text' } : raw;
}

function senderPayload({ sender, senderId }: MessageData, place: MessagePlace) {
  switch (sender?.__typename) {
    case 'Contact': {
      const name = sender.isNamed ? sender.displayName : fullName(defaultName(place.sourceId, place.conversationId));
      return { id: sender.legacyId, name, avatar_url: sender.avatarUrl ?? null };
    }
    case 'User':
      return {
        id: sender.legacyId,
        name: `${sender.firstName} ${sender.lastName}`,
        avatar_url: sender.avatarUrl ?? null,
      };
    case 'Source':
      return { id: senderId, name: sender.name ?? sender.legacyId, avatar_url: sender.imageUrl ?? null };
    default:
      return { id: senderId, name: null, avatar_url: null };
  }
}

export interface ContactData {
  legacyId: string;
  displayName: string;
  isNamed: boolean;
  firstName: string | null;
  lastName: string | null;
  avatarUrl: string | null;
}

export interface ConversationData {
  legacyId: string;
  sourceId: string;
  createdAt: string;
  state: string;
  unreadCount: number;
  metadata: Record<string, unknown>;
  channel: ChannelData;
  contact: ContactData | null;
  tags: { legacyId: string }[];
  lastMessage: MessageData | null;
}

/** Selection of a conversation. */
export const conversationFields = `
  legacyId sourceId createdAt state unreadCount metadata
  channel { legacyId name sourceChannelId connected imageUrl metadata }
  contact { legacyId displayName isNamed firstName lastName avatarUrl }
  tags { legacyId }
  lastMessage { ${messageFields} }`;

export function conversationPayload(conversation: ConversationData) {
  const { legacyId: id, sourceId, contact } = conversation;
  const place = { sourceId, conversationId: id };
  const name = contact?.isNamed
    ? { first: contact.firstName, last: contact.lastName, display: contact.displayName }
    : { ...defaultName(sourceId, id), display: fullName(defaultName(sourceId, id)) };
  return {
    id,
    channel: { ...channelPayload({ ...conversation.channel, sourceId }), name: sourceId },
    created_at: conversation.createdAt,
    contact: {
      id: contact?.legacyId ?? null,
      avatar_url: contact?.avatarUrl ?? null,
      first_name: name.first,
      last_name: name.last,
      info: publicInfo(conversation.metadata.public),
    },
    tags: conversation.tags.map((tag) => tag.legacyId),
    last_message: conversation.lastMessage && messagePayload(conversation.lastMessage, place),
    unread_message_count: conversation.unreadCount,
    metadata: {
      ...conversation.metadata,
      // What the source says of the contact beyond its name stays beside it.
      contact: {
        ...objectOf(conversation.metadata.contact),
        display_name: name.display,
        avatar_url: contact?.avatarUrl ?? null,
      },
      tags: Object.fromEntries(conversation.tags.map((tag) => [tag.legacyId, ''])),
      unread_count: conversation.unreadCount,
      state: conversation.state,
    },
  };
}

function objectOf(value: unknown): Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Record<string, unknown>) : {};
}

interface DefaultName {
  first: string;
  last: string;
}

/** A conversation whose contact has no name: `Facebook 4ecb3`. */
function defaultName(sourceId: string, conversationId: string): DefaultName {
  const segment = sourceId.split('.').at(-1) || sourceId;
  return { first: segment.charAt(0).toUpperCase() + segment.slice(1), last: conversationId.slice(-5) };
}

function fullName({ first, last }: DefaultName): string {
  return `${first} ${last}`;
}

/** Characters of flat keys; what is left then is shown as it nests. */
const longestFlat = 65_536;

// `metadata.set` writes below `public`; the 2020 dialect shows it flat.
function publicInfo(value: unknown): Record<string, unknown> {
  const flat: Record<string, unknown> = {};
  let room = longestFlat;
  const note = (inner: unknown, prefix: string) => {
    const below = typeof inner === 'object' && inner !== null && !Array.isArray(inner) ? Object.entries(inner) : [];
    const needed = below.reduce((sum, [key]) => sum + prefix.length + 1 + key.length, 0);
    if (below.length === 0 || needed > room) {
      flat[prefix] = inner;
      return;
    }
    room -= needed;
    for (const [key, value] of below) note(value, `${prefix}.${key}`);
  };
  if (value !== undefined) note(value, 'public');
  return flat;
}

export interface ChannelData {
  legacyId: string;
  name: string;
  sourceChannelId: string;
  connected: boolean;
  imageUrl: string | null;
  metadata: Record<string, unknown>;
  sourceId: string;
}

/** Selection of a channel. */
export const channelFields = 'legacyId name sourceChannelId connected imageUrl metadata sourceId';

export function channelPayload(channel: ChannelData) {
  return {
    id: channel.legacyId,
    name: channel.name,
    source: channel.sourceId,
    source_id: channel.sourceId,
    source_channel_id: channel.sourceChannelId,
    ...(channel.imageUrl !== null && { image_url: channel.imageUrl }),
    connected: channel.connected,
    metadata: channel.metadata,
  };
}

export interface TagData {
  legacyId: string;
  name: string;
  color: string;
}

/** Selection of a tag. */
export const tagFields = 'legacyId name color';

export function tagPayload({ legacyId, name, color }: TagData) {
  return { id: legacyId, name, color: `tag-${color.toLowerCase()}` };
}

export interface SessionData {
  session: { token: string; user: { legacyId: string; email: string; firstName: string; lastName: string } };
}

export const sessionPayload = ({ session: { token, user } }: SessionData) => ({
  id: user.legacyId,
  first_name: user.firstName,
  last_name: user.lastName,
  token,
});

export const sessionFields = 'token user { legacyId email firstName lastName }';
