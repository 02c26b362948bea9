import { Arg, Ctx, ID, Query, Resolver } from 'type-graphql';
import { allow } from '../domain/access.ts';
import { InvalidInput } from '../domain/errors.ts';
import { isUuid } from '../domain/ids.ts';
import { findSource } from '../domain/messaging/sources/source.service.ts';
import type { GraphCtx } from './context.ts';
import { parseGlobalId } from './ids.ts';
import { tellMembers } from './plain-fields.ts';
import { CursorScalar } from './scalars.ts';
import { Node } from './stored.ts';

const mostNodes = 100;

type Typed = { typename: string };

for (const name of ['Node', 'Stored']) tellMembers<Typed>(name, ({ typename }) => typename);

// What is loaded by id, and by which loader. Delivery attempts are seen through their source only.
const loaded = {
  User: 'user',
  Channel: 'channel',
  Contact: 'contact',
  Conversation: 'conversation',
  Message: 'message',
  Tag: 'tag',
  MessageTemplate: 'template',
  Flow: 'flow',
  Journey: 'journey',
  ApiKey: 'apiKey',
  ApiKeyGroup: 'apiKeyGroup',
  Secret: 'secret',
} as const;

async function findNode(ctx: GraphCtx, globalId: string, path: string): Promise<Typed | null> {
  const parsed = parseGlobalId(globalId);
  if (!parsed) throw new InvalidInput(path, 'must be an opaque id as an answer gave it');
  if (parsed.type === 'Source') return typed('Source', await findSource(ctx, parsed.id));
  if (!Object.hasOwn(loaded, parsed.type) || !isUuid(parsed.id)) return null;
  const loader = ctx.loaders[loaded[parsed.type as keyof typeof loaded]];
  return typed(parsed.type, (await loader.load(parsed.id)) as object | null);
}

function typed(typename: string, found: object | null): Typed | null {
  return found && Object.assign(found, { typename });
}

@Resolver()
export class NodeResolver {
  @Query(() => Node, { nullable: true, description: 'Anything by its opaque id; null when it is not there.' })
  async node(@Ctx() ctx: GraphCtx, @Arg('id', () => ID, { description: 'Its opaque id.' }) id: string) {
    allow(ctx, 'node');
    return findNode(ctx, id, 'id');
  }

  @Query(() => [Node], { nullable: 'items', description: 'Several by their opaque ids, in their order; 100 at most.' })
  async nodes(@Ctx() ctx: GraphCtx, @Arg('ids', () => [ID], { description: 'Their opaque ids.' }) ids: string[]) {
    allow(ctx, 'nodes');
    if (ids.length > mostNodes) throw new InvalidInput('ids', `must be at most ${mostNodes}`);
    return Promise.all(ids.map((id, index) => findNode(ctx, id, `ids[${index}]`)));
  }

  @Query(() => CursorScalar, {
    description:
      'Newest position of the event stream: read it with the first page, then subscribe after it, and nothing falls between.',
  })
  eventCursor(@Ctx() ctx: GraphCtx) {
    allow(ctx, 'eventCursor');
    return ctx.loaders.eventCursor();
  }
}
