import 'reflect-metadata';
import {
  defaultFieldResolver,
  type GraphQLFieldResolver,
  type GraphQLSchema,
  type GraphQLTypeResolver,
  isAbstractType,
  isObjectType,
  lexicographicSortSchema,
  printSchema,
} from 'graphql';
import { buildSchema, type PubSub } from 'type-graphql';
import { actionOf, allow } from '../domain/access.ts';
import { ApiKeyResolver } from './accounts/api-keys/api-key.resolver.ts';
import { ApiKeyGroupResolver } from './accounts/api-keys/api-key-group.resolver.ts';
import { SecretResolver } from './accounts/secrets/secret.resolver.ts';
import { UserResolver } from './accounts/users/user.resolver.ts';
import { UserAdminResolver } from './accounts/users/user-admin.resolver.ts';
import { ExpressionResolver } from './automation/expressions/expression.resolver.ts';
import { FlowResolver } from './automation/flows/flow.resolver.ts';
import { JourneyProgressEventResolver, JourneyResolver } from './automation/journeys/journey.resolver.ts';
import { JourneyLinkResolver, LinkedMessageEventResolver } from './automation/journeys/journey-link.resolver.ts';
import { ClientConfigResolver } from './client-config.resolver.ts';
import type { GraphCtx } from './context.ts';
import { globalId } from './ids.ts';
import { LegacyCallsResolver } from './legacy-calls.resolver.ts';
import { ChannelResolver } from './messaging/channels/channel.resolver.ts';
import { ContactResolver } from './messaging/contacts/contact.resolver.ts';
import { ConversationResolver } from './messaging/conversations/conversation.resolver.ts';
import { ConversationChangeResolver } from './messaging/conversations/conversation-change.resolver.ts';
import {
  ChannelEventResolver,
  ConversationEventResolver,
  InboxResolver,
  MessageEventResolver,
  TagEventResolver,
} from './messaging/inbox.resolver.ts';
import { MessageResolver } from './messaging/messages/message.resolver.ts';
import { MetadataResolver } from './messaging/metadata/metadata.resolver.ts';
import { SourceResolver } from './messaging/sources/source.resolver.ts';
import { TagResolver } from './messaging/tags/tag.resolver.ts';
import { TemplateResolver } from './messaging/templates/template.resolver.ts';
import { NodeResolver } from './node.resolver.ts';
import { memberNames, plainFieldResolvers } from './plain-fields.ts';
import { DateTimeScalar } from './scalars.ts';
import type { Stored } from './stored.ts';

// Asked for as soon as there is one subscription; ours run in `live.ts`.
const unusedPubSub: PubSub = {
  publish: () => undefined,
  subscribe: () => {
    throw new Error('subscriptions are run by live.ts');
  },
};

/** Builds the one schema: every resolver, and what is set on the fields afterwards. */
export async function buildParleySchema(): Promise<GraphQLSchema> {
  const schema = await buildSchema({
    resolvers: [
      UserResolver,
      UserAdminResolver,
      ApiKeyResolver,
      ApiKeyGroupResolver,
      SecretResolver,
      NodeResolver,
      ClientConfigResolver,
      LegacyCallsResolver,
      SourceResolver,
      ChannelResolver,
      ContactResolver,
      ConversationResolver,
      ConversationChangeResolver,
      MessageResolver,
      TagResolver,
      TemplateResolver,
      MetadataResolver,
      InboxResolver,
      MessageEventResolver,
      ConversationEventResolver,
      ChannelEventResolver,
      TagEventResolver,
      ExpressionResolver,
      FlowResolver,
      JourneyResolver,
      JourneyProgressEventResolver,
      JourneyLinkResolver,
      LinkedMessageEventResolver,
    ],
    scalarsMap: [{ type: Date, scalar: DateTimeScalar }],
    validate: false,
    pubSub: unusedPubSub,
  });
  setPlainResolvers(schema);
  setStoredIds(schema);
  setMemberNames(schema);
  setRights(schema);
  return schema;
}

function setPlainResolvers(schema: GraphQLSchema): void {
  for (const [path, resolve] of plainFieldResolvers) {
    const [typeName, fieldName] = path.split('.') as [string, string];
    const type = schema.getType(typeName);
    const field = isObjectType(type) ? type.getFields()[fieldName] : undefined;
    if (!field) throw new Error(`the plain field ${path} is not in the schema`);
    field.resolve = resolve as unknown as GraphQLFieldResolver<unknown, unknown>;
  }
}

function setStoredIds(schema: GraphQLSchema): void {
  for (const type of Object.values(schema.getTypeMap())) {
    if (!isObjectType(type) || !type.getInterfaces().some(({ name }) => name === 'Stored')) continue;
    type.getFields().id!.resolve = (root: Stored) => globalId(type.name, root.legacyId);
  }
}

function setMemberNames(schema: GraphQLSchema): void {
  for (const [name, nameOf] of memberNames) {
    const type = schema.getType(name);
    if (!isAbstractType(type)) throw new Error(`the abstract type ${name} is not in the schema`);
    type.resolveType = nameOf as unknown as GraphQLTypeResolver<unknown, unknown>;
  }
}

// The services ask for themselves. Here it is asked before a resolver looks at an argument: who may not call learns
// nothing of what would be right, and a field that forgot to ask is closed all the same.
function setRights(schema: GraphQLSchema): void {
  for (const type of [schema.getQueryType(), schema.getMutationType()]) {
    for (const field of Object.values(type?.getFields() ?? {})) {
      const action = actionOf(field.name);
      const { resolve = defaultFieldResolver } = field;
      field.resolve = (root, args, ctx: GraphCtx, info) => {
        allow(ctx, action);
        return resolve(root, args, ctx, info);
      };
    }
  }
}

/** The text of `schema.graphql`. */
export function printParleySchema(schema: GraphQLSchema): string {
  return `${printSchema(lexicographicSortSchema(schema))}\n`;
}
