import DataLoader from 'dataloader';
import type { ApiKey } from '../domain/accounts/api-keys/api-key.entity.ts';
import { findApiKeys } from '../domain/accounts/api-keys/api-key.service.ts';
import type { ApiKeyGroup } from '../domain/accounts/api-keys/api-key-group.entity.ts';
import { findApiKeyGroups, listGroupsOfKeys } from '../domain/accounts/api-keys/api-key-group.service.ts';
import type { Secret } from '../domain/accounts/secrets/secret.entity.ts';
import { findSecrets } from '../domain/accounts/secrets/secret.service.ts';
import type { UserAccount } from '../domain/accounts/users/user.entity.ts';
import { findUsers } from '../domain/accounts/users/user.service.ts';
import type { Flow, FlowVersion } from '../domain/automation/flows/flow.entity.ts';
import { findFlows, findPublishedVersions, listFlowVersions } from '../domain/automation/flows/flow.service.ts';
import {
  findJourneys,
  type Identifier,
  type Journey,
  type JourneyEvent,
  listJourneyEvents,
  listJourneyIdentifiers,
} from '../domain/automation/journeys/journey.read.service.ts';
import type { Ctx } from '../domain/context.ts';
import { currentEventCursor } from '../domain/events.ts';
import type { Channel } from '../domain/messaging/channels/channel.entity.ts';
import { findChannels, listChannelsOf } from '../domain/messaging/channels/channel.service.ts';
import type { Contact } from '../domain/messaging/contacts/contact.entity.ts';
import {
  type ConversationRef,
  findContactDetails,
  findContacts,
  findConversationRefs,
  type ShownContact,
} from '../domain/messaging/contacts/contact.service.ts';
import {
  type ConversationPage,
  listContactConversations,
} from '../domain/messaging/conversations/conversation.list.service.ts';
import { findConversations, type LoadedConversation } from '../domain/messaging/conversations/conversation.service.ts';
import type { Message } from '../domain/messaging/messages/message.entity.ts';
import { findMessages, listMessages } from '../domain/messaging/messages/message.service.ts';
import type { DeliveryAttempt } from '../domain/messaging/sources/delivery-attempt.entity.ts';
import type { Source } from '../domain/messaging/sources/source.entity.ts';
import { type DeliveriesQuery, findSourcesById, listDeliveries } from '../domain/messaging/sources/source.service.ts';
import type { Tag } from '../domain/messaging/tags/tag.entity.ts';
import { findTags } from '../domain/messaging/tags/tag.service.ts';
import type { MessageTemplate } from '../domain/messaging/templates/message-template.entity.ts';
import { findTemplates } from '../domain/messaging/templates/message-template.service.ts';
import type { Page, PageRequest } from '../domain/paging.ts';

/** Reads that fold: one statement for all that one execution asks of a kind. */
export interface Loaders {
  user: DataLoader<string, UserAccount | null>;
  source: DataLoader<string, Source | null>;
  channel: DataLoader<string, Channel | null>;
  contact: DataLoader<string, ShownContact | null>;
  contactDetails: DataLoader<string, Contact | null>;
  conversationRefs: DataLoader<string, ConversationRef[]>;
  conversation: DataLoader<string, LoadedConversation | null>;
  message: DataLoader<string, Message | null>;
  tag: DataLoader<string, Tag | null>;
  template: DataLoader<string, MessageTemplate | null>;
  flow: DataLoader<string, Flow | null>;
  journey: DataLoader<string, Journey | null>;
  publishedVersion: DataLoader<string, FlowVersion | null>;
  flowVersions: DataLoader<string, FlowVersion[]>;
  identifiersOfJourney: DataLoader<string, Identifier[]>;
  eventsOfJourney(journeyId: string, last: number): Promise<JourneyEvent[]>;
  /** For administrators only, like the two behind it: their services ask. */
  apiKey: DataLoader<string, ApiKey | null>;
  apiKeyGroup: DataLoader<string, ApiKeyGroup | null>;
  secret: DataLoader<string, Secret | null>;
  groupsOfApiKey: DataLoader<string, ApiKeyGroup[]>;
  /** What came with a list is not read again. */
  remember(conversations: readonly LoadedConversation[]): void;
  /** A page of a conversation's messages; equal pages of several conversations are one statement. */
  messagesOf(conversationId: string, page: PageRequest): Promise<Page<Message>>;
  /** In the same way the conversations of a contact, and what belongs to a source. */
  conversationsOf(contactId: string, page: PageRequest): Promise<ConversationPage>;
  channelsOf(sourceId: string, page: PageRequest): Promise<Page<Channel> & { total(): Promise<number> }>;
  deliveriesOf(sourceId: string, query: DeliveriesQuery): Promise<DeliveryAttempt[]>;
  /** Newest position of the event stream, read once. */
  eventCursor(): Promise<string>;
}

// Made when first used: most executions need one or two of them.
export function createLoaders(ctx: Ctx): Loaders {
  const made = new Map<string, DataLoader<string, unknown>>();
  const remembered: LoadedConversation[] = [];
  let cursor: Promise<string> | undefined;
  const loader = <Value>(name: string, read: (ctx: Ctx, ids: readonly string[]) => Promise<Value[]>) => {
    let known = made.get(name);
    if (!known) {
      known = new DataLoader<string, unknown>((ids) => read(ctx, ids));
      made.set(name, known);
    }
    return known as DataLoader<string, Value>;
  };
  // Most executions ask for none of them again, so they are told to the loaders when those are first asked.
  const tellRemembered = () => {
    for (const conversation of remembered.splice(0)) {
      loader('conversation', findConversations).prime(conversation.id, conversation);
      const { contact } = conversation;
      if (contact) loader('contact', findContacts).prime(contact.id, contact);
    }
  };
  return {
    get user() {
      return loader('user', findUsers);
    },
    get source() {
      return loader('source', findSourcesById);
    },
    get channel() {
      return loader('channel', findChannels);
    },
    get contact() {
      tellRemembered();
      return loader('contact', findContacts);
    },
    get conversationRefs() {
      return loader('conversation refs', findConversationRefs);
    },
    get contactDetails() {
      return loader('contact details', findContactDetails);
    },
    get conversation() {
      tellRemembered();
      return loader('conversation', findConversations);
    },
    remember(conversations) {
      remembered.push(...conversations);
    },
    get message() {
      return loader('message', findMessages);
    },
    get tag() {
      return loader('tag', findTags);
    },
    get template() {
      return loader('template', findTemplates);
    },
    get flow() {
      return loader('flow', findFlows);
    },
    get journey() {
      return loader('journey', findJourneys);
    },
    get publishedVersion() {
      return loader('published version', findPublishedVersions);
    },
    get flowVersions() {
      return loader('flow versions', listFlowVersions);
    },
    get identifiersOfJourney() {
      return loader('identifiers of journey', listJourneyIdentifiers);
    },
    eventsOfJourney(journeyId, last) {
      return loader(`events of journey ${last}`, (_, ids) => listJourneyEvents(ctx, ids, last)).load(journeyId);
    },
    get apiKey() {
      return loader('API key', findApiKeys);
    },
    get apiKeyGroup() {
      return loader('API key group', findApiKeyGroups);
    },
    get secret() {
      return loader('secret', findSecrets);
    },
    get groupsOfApiKey() {
      return loader('groups of API key', listGroupsOfKeys);
    },
    messagesOf(conversationId, page) {
      return loader(pageName('messages', page), (_, ids) => listMessages(ctx, ids, page)).load(conversationId);
    },
    conversationsOf(contactId, page) {
      return loader(pageName('conversations', page), (_, ids) => listContactConversations(ctx, ids, page)).load(
        contactId,
      );
    },
    channelsOf(sourceId, page) {
      return loader(pageName('channels', page), (_, ids) => listChannelsOf(ctx, ids, page)).load(sourceId);
    },
    deliveriesOf(sourceId, query) {
      const name = `deliveries ${query.last} ${query.onlyFailed}`;
      return loader(name, (_, ids) => listDeliveries(ctx, ids, query)).load(sourceId);
    },
    eventCursor() {
      cursor ??= currentEventCursor(ctx);
      return cursor;
    },
  };
}

function pageName(list: string, page: PageRequest): string {
  return `${list} ${JSON.stringify([page.first, page.after, page.last, page.before])}`;
}
