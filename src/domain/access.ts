import type { Ctx, Principal } from './context.ts';
import { Forbidden, Unauthenticated } from './errors.ts';

/** Who comes, as the table of rights names them. */
export type Audience = 'anonymous' | 'AGENT' | 'ADMIN' | 'source' | 'apiKey' | 'journey';

// API keys open routes of their own and are not among them.
const everybody: Audience[] = ['anonymous', 'AGENT', 'ADMIN', 'source', 'journey'];
const people: Audience[] = ['AGENT', 'ADMIN'];
const signingIn: Audience[] = ['anonymous', 'AGENT', 'ADMIN'];

/**
 * Who may do what, by default nobody: the one table (reliability, section 7). A name is a root field of the schema or
 * `Type.field` for a field that shows more than its parent may, or begins with the path of a route; REST rows get theirs through the operation they run.
 * A test walks schema and routes and fails on anything that is not listed.
 */
export const rights = {
  signUp: signingIn,
  logIn: signingIn,
  requestPasswordReset: signingIn,
  resetPassword: signingIn,
  acceptInvitation: signingIn,
  clientConfig: signingIn,

  viewer: people,
  node: people,
  nodes: people,
  eventCursor: people,
  conversations: people,
  conversation: people,
  channels: people,
  channel: people,
  connectedChannels: people,
  sources: people,
  source: people,
  sendMessage: people,
  retryMessage: people,
  markConversationRead: people,
  setConversationState: people,
  assignConversation: people,
  tagConversation: people,
  untagConversation: people,
  nameConversationContact: people,
  refetchConversationContact: people,
  setMetadata: people,
  mergeUserData: people,
  suggestReplies: people,
  contacts: people,
  contact: people,
  createContact: people,
  updateContact: people,
  templates: people,
  template: people,
  users: people,
  tags: people,
  createTag: people,
  updateTag: people,
  deleteTag: people,
  'Subscription.inbox': people,
  'Subscription.conversation': people,

  importContacts: ['ADMIN'],
  deleteContact: ['ADMIN'],
  createTemplate: ['ADMIN'],
  updateTemplate: ['ADMIN'],
  deleteTemplate: ['ADMIN'],
  inviteUser: ['ADMIN'],
  setUserRole: ['ADMIN'],
  setUserActive: ['ADMIN'],
  apiKeys: ['ADMIN'],
  createApiKey: ['ADMIN'],
  updateApiKey: ['ADMIN'],
  revokeApiKey: ['ADMIN'],
  apiKeyGroups: ['ADMIN'],
  createApiKeyGroup: ['ADMIN'],
  renameApiKeyGroup: ['ADMIN'],
  deleteApiKeyGroup: ['ADMIN'],
  addApiKeysToGroup: ['ADMIN'],
  removeApiKeysFromGroup: ['ADMIN'],
  secrets: ['ADMIN'],
  createSecret: ['ADMIN'],
  updateSecret: ['ADMIN'],
  deleteSecret: ['ADMIN'],
  legacyCalls: ['ADMIN'],
  connectChannel: ['ADMIN'],
  updateChannel: ['ADMIN'],
  exploreChannels: ['ADMIN'],
  disconnectChannel: ['ADMIN'],
  createSource: ['ADMIN'],
  updateSource: ['ADMIN'],
  deleteSource: ['ADMIN'],
  rotateSourceToken: ['ADMIN'],
  openOutbound: ['ADMIN'],
  runExpression: ['ADMIN'],
  previewTemplate: ['ADMIN'],
  flows: ['ADMIN'],
  flow: ['ADMIN'],
  flowDefinitionSchema: ['ADMIN'],
  createFlow: ['ADMIN'],
  updateFlow: ['ADMIN'],
  publishFlow: ['ADMIN'],
  unpublishFlow: ['ADMIN'],
  deleteFlow: ['ADMIN'],
  journeys: ['ADMIN'],
  journey: ['ADMIN'],
  startJourney: ['ADMIN'],
  deliverJourneyEvent: ['ADMIN'],
  abortJourney: ['ADMIN'],
  'Subscription.journeyProgress': ['ADMIN'],
  'Source.actionEndpoint': ['ADMIN'],
  'Source.reachable': ['ADMIN'],
  'Source.lastError': ['ADMIN'],
  'Source.deliveries': ['ADMIN'],

  ingest: ['source'],
  sourceChannels: ['source'],
  createSourceChannel: ['source'],
  disconnectSourceChannel: ['source'],

  openJourneyLink: [...signingIn, 'journey'],
  linkedConversation: ['journey'],
  sendLinkedMessage: ['journey'],
  'Subscription.linkedMessages': ['journey'],

  /** Beside those who ask on the machine itself (server/local-caller.ts). */
  '/metrics': ['ADMIN'],
  /** Pool, event loop and backlog in the answer that everybody may read without them. */
  '/health/ready detail': ['ADMIN'],

  /** `{__typename}` and introspection, which has a switch of its own: whoever has not even this is not served on /graphql. */
  __typename: everybody,
} satisfies Record<string, Audience[]>;

export type Action = keyof typeof rights;

type Asking = Pick<Ctx, 'principal'>;

/** The action of a root field. @throws Error it is not in the table: the start then ends, instead of an open door */
export function actionOf(rootField: string): Action {
  if (!Object.hasOwn(rights, rootField)) throw new Error(`the table of rights does not list ${rootField}`);
  return rootField as Action;
}

export function audienceOf(principal: Principal): Audience | 'system' {
  return principal.kind === 'user' ? principal.role : principal.kind;
}

/**
 * First line of every service function that the outside reaches. Our own background work passes.
 *
 * @throws Unauthenticated nobody is signed in and the action needs somebody
 * @throws Forbidden this role or kind of token may not
 */
export function allow(ctx: Asking, action: Action): void {
  if (may(ctx, action)) return;
  throw ctx.principal.kind === 'anonymous' ? new Unauthenticated() : new Forbidden(neededFor(action));
}

const neededTokens: [Audience, string][] = [
  ['ADMIN', 'the token of an administrator'],
  ['source', 'the token of a source'],
  ['apiKey', 'an API key'],
  ['journey', 'the token of a link'],
];

function neededFor(action: Action): string {
  const audiences: Audience[] = rights[action];
  if (audiences.includes('AGENT')) return 'this token may not do that: it takes the token of a user';
  const needed = neededTokens.find(([audience]) => audiences.includes(audience))?.[1] ?? 'another token';
  return `this token may not do that: it takes ${needed}`;
}

export function may(ctx: Asking, action: Action): boolean {
  const audience = audienceOf(ctx.principal);
  return audience === 'system' || (rights[action] as Audience[]).includes(audience);
}

/** The signed-in user's id. @throws Forbidden when the principal is no user */
export function userIdOf(ctx: Ctx): string {
  if (ctx.principal.kind !== 'user') throw new Forbidden();
  return ctx.principal.userId;
}

/** The source whose token this is. @throws Forbidden when the principal is no source */
export function sourceOf(ctx: Ctx): { sourceId: string; sourceName: string } {
  if (ctx.principal.kind !== 'source') throw new Forbidden();
  return ctx.principal;
}

/** The API key that this is. @throws Forbidden when the principal is none */
export function apiKeyOf(ctx: Ctx): Extract<Principal, { kind: 'apiKey' }> {
  if (ctx.principal.kind !== 'apiKey') throw new Forbidden();
  return ctx.principal;
}

/** The journey whose link this is, and its conversation. @throws Forbidden when the principal has no link */
export function linkOf({ principal }: Asking): { journeyId: string; conversationId: string } {
  if (principal.kind !== 'journey') throw new Forbidden();
  return principal;
}
