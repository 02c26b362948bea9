/**
 * What the documents of the contract show of each call, as strict JSON; for calls that are in neither document, in the
 * same manner. Their answers are a part of ours, which carry the fields of later versions beside them.
 */
export interface Sample {
  request?: unknown;
  answer?: unknown;
}

const conversationId = 'a688d36c-a85e-44af-bc02-4248c2c97622';
const messageId = '4242a688-5b3c-4e7f-8a1d-4248c2c97622';
const channelId = '318efa04-7cc1-4200-988e-50699d0dd6e3';
const tagId = 'f339c325-8614-43cb-a70a-e83d81bf56fc';
const contactId = '36d07b7b-e242-4612-a82c-76832cfd1026';
const templateId = '7d1f6f0e-3d0c-4f6b-9d53-0a5a3c6a6b21';

const message = {
  id: messageId,
  content: { text: 'Hello World', type: 'text' },
  state: 'delivered',
  delivery_state: 'delivered',
  sender_type: 'source_contact',
  from_contact: true,
  sender: { id: contactId, name: 'Grace Hopper', avatar_url: null },
  sent_at: '2020-10-25T21:24:54.560Z',
  source: 'facebook',
  metadata: {},
};

const channel = {
  id: channelId,
  name: 'my page 1',
  source: 'facebook',
  source_id: 'facebook',
  source_channel_id: 'fb-page-id-1',
  image_url: 'http://example.org/avatar.jpeg',
  connected: true,
  metadata: { name: 'my page 1', image_url: 'http://example.org/avatar.jpeg' },
};

const conversation = {
  id: conversationId,
  channel: { ...channel, name: 'facebook' },
  created_at: '2019-01-07T09:01:44.000Z',
  contact: {
    avatar_url: 'https://assets.example.com/icon.jpg',
    first_name: 'Grace',
    last_name: 'Hopper',
    id: contactId,
    info: {},
  },
  tags: [tagId],
  last_message: message,
  unread_message_count: 1,
  metadata: {
    contact: { display_name: 'Grace Hopper', avatar_url: 'https://assets.example.com/icon.jpg' },
    tags: { [tagId]: '' },
    unread_count: 1,
    state: 'OPEN',
  },
};

const page = {
  response_metadata: { previous_cursor: '', next_cursor: '', filtered_total: 1, total: 1 },
  pagination_data: { previous_cursor: null, next_cursor: null, total: 1 },
};
const session = { id: contactId, first_name: 'Grace', last_name: 'Hopper', token: 'JWT_TOKEN' };
const conversationOnly = { request: { conversation_id: conversationId } };
const conversationAndTag = { request: { conversation_id: conversationId, tag_id: tagId }, answer: {} };
const disconnect = { request: { channel_id: channelId } };
const tag = { id: tagId, name: 'Urgent', color: 'tag-red' };
const state = { request: { conversation_id: conversationId, state: 'CLOSED' } };
const updateContact = { request: { conversation_id: conversationId, display_name: 'Grace Hopper' } };
const replies = { 'suggestion-1': { content: { text: 'Great to hear.' } } };
const suggestions = {
  request: { message_id: messageId, suggestions: replies },
  answer: { ...message, metadata: { suggestions: replies } },
};
const sentMessage = {
  ...message,
  state: 'pending',
  delivery_state: 'pending',
  sender_type: 'app_user',
  from_contact: false,
};
const contactFields = {
  display_name: 'Grace Hopper',
  via: { phone: '+4930901820' },
  address: { address_line1: '12 Navy Street', city: 'Arlington', country: 'US' },
};
const contact = {
  id: contactId,
  display_name: 'Grace Hopper',
  avatar_url: null,
  title: null,
  given_name: 'Grace',
  family_name: 'Hopper',
  timezone: -5,
  locale: 'en_US',
  gender: null,
  organization_name: null,
  via: contactFields.via,
  address: { organization_name: null, address_line2: null, postcode: null, state: null, ...contactFields.address },
  conversations: { [conversationId]: 'facebook' },
};
const person = {
  id: contactId,
  name: 'Grace Hopper',
  avatar_url: null,
  first_seen_at: '2020-10-25T21:24:54.560Z',
  last_seen_at: '2020-10-26T08:00:00.000Z',
};
const template = { name: 'Welcome', source: 'facebook', content: { text: 'Hello, {{name}}!' } };
const source = {
  source_id: 'my-crm-connector',
  action_endpoint: 'http://my-endpoint.com/action',
  name: 'CRM connector',
  image_url: 'https://example.org/crm-icon.jpg',
};
const sourceChannel = {
  id: 'c30ccd82-d3f9-5d4c-aeaa-14da8f5d0724',
  source_id: 'my-crm-connector',
  source: 'my-crm-connector',
  source_channel_id: 'page-1',
  metadata: { name: 'Support', image_url: 'https://example.org/icon.png' },
  connected: true,
};

/** By the name of the row. */
export const samples: Record<string, Sample> = {
  'users.signup': {
    request: { first_name: 'Grace', last_name: 'Hopper', password: 'the_answer_is_42', email: 'grace@example.com' },
    answer: session,
  },
  'users.login': { request: { email: 'grace@example.com', password: 'avalidpassword' }, answer: session },
  'users.password-reset': {
    request: { token: 'a-valid-reset-token', new_password: 'i-hope-i-will-remember-this-one' },
    answer: {},
  },
  'users.request-password-reset': { request: { email: 'grace@example.com' }, answer: {} },
  'users.list': {
    request: { page_size: 20 },
    answer: { data: [person], ...page },
  },
  'users.invite': { request: { email: 'grace@example.com' }, answer: { id: 'INVITATION_ID' } },
  'users.accept-invitation': {
    request: { id: 'INVITATION_ID', first_name: 'Grace', last_name: 'Hopper', password: 'the_answer_is_42' },
    answer: { ...session, email: 'grace@example.com' },
  },
  'client.config': {
    request: {},
    answer: {
      cluster_version: '0.1.0',
      services: { 'source-api': { enabled: true, healthy: true, component: 'integration-source-api' } },
      user_profile: null,
      tag_config: {
        colors: {
          'tag-red': { default: 'C2334A', background: 'FCEBEE', font: '8E1F33', border: 'F0B4BF', position: 2 },
        },
      },
    },
  },

  'conversations.list': {
    request: { filters: 'display_name:*Lovelace', cursor: '', page_size: 2 },
    answer: {
      data: [conversation],
      ...page,
      response_metadata: { ...page.response_metadata, badge_unread_count: 1 },
    },
  },
  'conversations.info': { ...conversationOnly, answer: conversation },
  'conversations.read': { ...conversationOnly, answer: {} },
  'conversations.tag': conversationAndTag,
  'conversations.untag': conversationAndTag,
  'conversations.mark-read': conversationOnly,
  'conversations.markRead': conversationOnly,
  'conversations.set-state': state,
  'conversations.setState': state,
  'conversations.remove-state': conversationOnly,
  'conversations.removeState': conversationOnly,
  'conversations.update-contact': updateContact,
  'conversations.updateContact': updateContact,
  'conversations.refetch': { ...conversationOnly, answer: {} },

  'messages.list': {
    request: { conversation_id: conversationId, cursor: '', page_size: 2 },
    answer: { data: [message], ...page },
  },
  'messages.send': {
    request: { conversation_id: conversationId, message: { text: 'Hello World' } },
    answer: sentMessage,
  },
  'messages.resend': { request: { message_id: messageId }, answer: sentMessage },
  'messages.suggest-replies': suggestions,
  'messages.suggestReplies': suggestions,

  'channels.connect': {
    request: { source: 'my-crm-connector', source_channel_id: 'page-1', name: 'Support' },
    answer: {
      ...channel,
      source: 'my-crm-connector',
      source_id: 'my-crm-connector',
      source_channel_id: 'page-1',
      name: 'Support',
    },
  },
  'channels.disconnect': { ...disconnect, answer: {} },
  'channels.explore': {
    request: { source: 'facebook', token: 'authentication token' },
    answer: {
      data: [{ name: 'my page 1', source: 'facebook', source_channel_id: 'fb-page-id-1', connected: false }],
    },
  },
  'channels.list': { request: {}, answer: { data: [channel] } },
  'channels.info': { ...disconnect, answer: channel },
  'channels.update': { request: { channel_id: channelId, name: 'my page 1' }, answer: channel },
  'channels.facebook.connect': {
    request: { page_id: 'fb-page-id-1', page_token: 'authentication token' },
    answer: channel,
  },
  'channels.instagram.connect': {
    request: { page_id: 'fb-page-id-1', account_id: 'ig-account-1', page_token: 'authentication token' },
    answer: channel,
  },
  'channels.twilio.sms.connect': { request: { phone_number: '+4930901820', name: 'Hotline' }, answer: channel },
  'channels.twilio.whatsapp.connect': { request: { phone_number: '+4930901820', name: 'Hotline' }, answer: channel },
  'channels.email.connect': { request: { address: 'desk@example.com', name: 'Desk' }, answer: channel },
  'channels.fcm.connect': {
    request: { project_id: 'shop', service_account: '{}', name: 'Shop app' },
    answer: channel,
  },
  'channels.apns.connect': {
    request: { topic: 'com.example.shop', team_id: 'TEAM', key_id: 'KEY', key: '-----BEGIN PRIVATE KEY-----' },
    answer: channel,
  },
  'channels.webpush.connect': { request: { name: 'Shop', contact: 'mailto:desk@example.com' }, answer: channel },
  'channels.webchat.connect': {
    request: { name: 'Shop', allowed_origins: ['https://shop.example.com'] },
    answer: channel,
  },
  ...Object.fromEntries(
    ['facebook', 'instagram', 'twilio.sms', 'twilio.whatsapp', 'email', 'fcm', 'apns', 'webpush', 'webchat'].map(
      (vendor) => [`channels.${vendor}.disconnect`, disconnect],
    ),
  ),
  'channels.facebook.explore': { request: { auth_token: 'authentication token' }, answer: { data: [] } },
  'facebook.channels.explore': { request: { token: 'authentication token' }, answer: { data: [] } },

  'tags.create': { request: { name: 'Urgent', color: 'tag-red' }, answer: tag },
  'tags.update': { request: { id: tagId, name: 'Urgent', color: 'tag-blue' }, answer: {} },
  'tags.delete': { request: { id: tagId }, answer: {} },
  'tags.list': { request: {}, answer: { tags: [tag], data: [tag] } },

  'metadata.set': { request: { conversation_id: conversationId, key: 'ad.id', value: 'Grace' }, answer: {} },
  'metadata.remove': { request: { conversation_id: conversationId, key: 'ad.id' }, answer: {} },
  'metadata.upsert': {
    request: { subject: 'conversation', id: conversationId, data: { erp: { id: 'A-42' } } },
  },

  'contacts.list': { request: { page_size: 20 }, answer: { data: [contact], ...page } },
  'contacts.info': { request: { id: contactId }, answer: contact },
  'contacts.create': { request: contactFields, answer: contact },
  'contacts.update': { request: { id: contactId, timezone: 1 }, answer: {} },
  'contacts.import': { request: [contactFields], answer: { data: [contact] } },
  'contacts.delete': { request: { id: contactId }, answer: {} },

  'templates.info': { request: { id: templateId }, answer: { id: templateId, ...template } },
  'templates.list': { request: { source: 'facebook' }, answer: { data: [{ id: templateId, ...template }] } },
  'templates.create': { request: template, answer: { id: templateId, ...template } },
  'templates.update': { request: { id: templateId, name: 'Welcome' }, answer: { id: templateId, ...template } },
  'templates.delete': { request: { id: templateId } },

  'sources.create': { request: source, answer: { ...source, token: 'SOURCE_JWT', signing_secret: 'whsec_...' } },
  'sources.list': { request: {}, answer: { data: [source] } },
  'sources.update': { request: source, answer: source },
  'sources.delete': { request: { source_id: 'my-crm-connector' }, answer: {} },
  'sources.channels.create': {
    request: { source_channel_id: 'page-1', name: 'Support', metadata: { image_url: 'https://example.org/icon.png' } },
    answer: sourceChannel,
  },
  'sources.channels.list': { request: {}, answer: { data: [sourceChannel] } },
  'sources.channels.disconnect': { request: { channel_id: sourceChannel.id } },
  'sources.webhook': {
    request: {
      messages: [
        {
          source_message_id: 'msg-1',
          source_conversation_id: 'conv-1',
          source_channel_id: 'page-1',
          source_sender_id: 'person-1',
          content: { text: 'Hello World' },
          from_contact: true,
          sent_at: 1_603_661_094_560,
        },
      ],
      metadata: [
        { namespace: 'conversation', source_id: 'conv-1', metadata: { contact: { display_name: 'Grace Hopper' } } },
      ],
    },
    answer: {
      data: [{ source_message_id: 'msg-1', id: 'b7f7011f-129e-5f0f-97d9-73612df55f3d', status: 'created' }],
    },
  },
};
