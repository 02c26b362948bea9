import { z } from 'zod';

/** What the answers are made of, strictly: a field that is not named here never leaves the gateway. */

const uuid = z.uuid();
const text = z.string();
const instant = z.iso.datetime({ precision: 3 });
const count = z.int().min(0);
const json = z.unknown();
const jsonObject = z.record(text, json);

export const nothing = z.strictObject({});

const deliveryState = z.enum(['pending', 'delivered', 'failed']);

/** A list that pages. */
function page<Item extends z.ZodType>(item: Item, more: z.ZodRawShape = {}) {
  return z.strictObject({
    data: z.array(item),
    response_metadata: z.strictObject({
      previous_cursor: text,
      next_cursor: text,
      filtered_total: count.nullable(),
      total: count.nullable(),
      ...more,
    }),
    pagination_data: z.strictObject({
      previous_cursor: text.nullable(),
      next_cursor: text.nullable(),
      total: count.nullable(),
    }),
  });
}

const list = <Item extends z.ZodType>(item: Item) => z.strictObject({ data: z.array(item) });

const sessionShape = { id: uuid, first_name: text, last_name: text, token: text };
export const session = z.strictObject(sessionShape);
export const acceptedInvitation = z.strictObject({ ...sessionShape, email: text });

export const message = z.strictObject({
  id: uuid,
  content: json,
  state: deliveryState,
  delivery_state: deliveryState,
  sender_type: z.enum(['source_contact', 'source_user', 'app_user']),
  from_contact: z.boolean(),
  sender: z.strictObject({ id: text, name: text.nullable(), avatar_url: text.nullable() }),
  sent_at: instant,
  source: text,
  metadata: jsonObject,
});
export const messages = page(message);

export const channel = z.strictObject({
  id: uuid,
  name: text,
  source: text,
  source_id: text,
  source_channel_id: text,
  image_url: text.optional(),
  connected: z.boolean(),
  metadata: jsonObject,
});
export const channels = list(channel);

export const exploredChannels = list(
  z.strictObject({
    name: text,
    source: text,
    source_channel_id: text,
    connected: z.boolean(),
    image_url: text.optional(),
  }),
);

export const conversation = z.strictObject({
  id: uuid,
  channel,
  created_at: instant,
  contact: z.strictObject({
    id: uuid.nullable(),
    avatar_url: text.nullable(),
    first_name: text.nullable(),
    last_name: text.nullable(),
    info: jsonObject,
  }),
  tags: z.array(uuid),
  last_message: message.nullable(),
  unread_message_count: count,
  metadata: z.looseObject({
    contact: z.looseObject({ display_name: text, avatar_url: text.nullable() }),
    tags: z.record(uuid, z.literal('')),
    unread_count: count,
    state: z.enum(['OPEN', 'SNOOZED', 'CLOSED']),
  }),
});
export const conversations = page(conversation, { badge_unread_count: count.nullable() });

export const tag = z.strictObject({
  id: uuid,
  name: text,
  color: z.enum(['tag-red', 'tag-blue', 'tag-green', 'tag-purple']),
});
export const tags = z.strictObject({ tags: z.array(tag), data: z.array(tag) });

export const contact = z.strictObject({
  id: uuid,
  display_name: text.nullable(),
  avatar_url: text.nullable(),
  title: text.nullable(),
  given_name: text.nullable(),
  family_name: text.nullable(),
  timezone: z.int().nullable(),
  locale: text.nullable(),
  gender: text.nullable(),
  organization_name: text.nullable(),
  via: z.record(text, text),
  address: z.strictObject({
    organization_name: text.nullable(),
    address_line1: text.nullable(),
    address_line2: text.nullable(),
    postcode: text.nullable(),
    city: text.nullable(),
    state: text.nullable(),
    country: text.nullable(),
  }),
  conversations: z.record(uuid, text),
});
export const contacts = page(contact);
export const importedContacts = list(contact);

export const template = z.strictObject({ id: uuid, name: text, source: text, content: json });
export const templates = list(template);

export const user = z.strictObject({
  id: uuid,
  name: text,
  avatar_url: text.nullable(),
  first_seen_at: instant.nullable(),
  last_seen_at: instant.nullable(),
});
export const users = page(user);
export const invitation = z.strictObject({ id: text });

const tagStyle = z.strictObject({ default: text, background: text, font: text, position: z.int(), border: text });

export const clientConfig = z.strictObject({
  cluster_version: text,
  services: z.record(text, z.strictObject({ enabled: z.boolean(), healthy: z.boolean(), component: text })),
  user_profile: user.nullable(),
  tag_config: z.strictObject({ colors: z.record(text, tagStyle) }),
});

const source = {
  source_id: text,
  action_endpoint: text.optional(),
  name: text.optional(),
  image_url: text.optional(),
};
export const shownSource = z.strictObject(source);
export const sourceWithSecrets = z.strictObject({ ...source, token: text, signing_secret: text });
export const sources = list(shownSource);

export const sourceChannel = z.strictObject({
  id: uuid,
  source_id: text,
  source: text,
  source_channel_id: text,
  metadata: jsonObject,
  connected: z.boolean(),
});
export const sourceChannels = list(sourceChannel);

export const taken = list(
  z.strictObject({ source_message_id: text, id: uuid, status: z.enum(['created', 'duplicate']) }),
);
