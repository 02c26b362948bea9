import { Ctx, Field, Int, ObjectType, Query, Resolver } from 'type-graphql';
import { allow } from '../domain/access.ts';
import { findViewer } from '../domain/accounts/users/user.service.ts';
import { UserType } from './accounts/users/user.type.ts';
import type { GraphCtx } from './context.ts';
import { TagColorEnum } from './messaging/tags/tag.type.ts';

@ObjectType({
  simpleResolvers: true,
  description: 'How to draw a tag of a colour. Colours are six hexadecimal digits.',
})
export class TagColorStyle {
  @Field(() => TagColorEnum, { description: 'Which colour.' })
  color!: TagColorEnum;

  @Field(() => String, { description: 'The colour itself.' })
  default!: string;

  @Field(() => String, { description: 'Behind the words.' })
  background!: string;

  @Field(() => String, { description: 'The words.' })
  font!: string;

  @Field(() => String, { description: 'Around it.' })
  border!: string;

  @Field(() => Int, { description: 'Its place among the colours, from 1.' })
  position!: number;
}

@ObjectType({ simpleResolvers: true, description: 'What a client needs to know before anybody signs in.' })
export class ClientConfig {
  @Field(() => String, { description: 'Version of Parley.' })
  version!: string;

  @Field(() => UserType, { nullable: true, description: 'Who is signed in; null for nobody.' })
  viewer!: UserType | null;

  @Field(() => [TagColorStyle], { description: 'One for each colour.' })
  tagColors!: TagColorStyle[];
}

// Words on their background have a contrast of at least 4.5 (WCAG 2.2, AA).
const tagColors: TagColorStyle[] = [
  { color: TagColorEnum.BLUE, default: '1F6FB2', background: 'E7F1FA', font: '17507F', border: 'A9CCE8', position: 1 },
  { color: TagColorEnum.RED, default: 'C2334A', background: 'FCEBEE', font: '8E1F33', border: 'F0B4BF', position: 2 },
  { color: TagColorEnum.GREEN, default: '2E7D4F', background: 'E8F5ED', font: '1F5C39', border: 'ABD8BC', position: 3 },
  {
    color: TagColorEnum.PURPLE,
    default: '7A4FA3',
    background: 'F3EDF9',
    font: '5A3880',
    border: 'CFB8E4',
    position: 4,
  },
];

@Resolver()
export class ClientConfigResolver {
  @Query(() => ClientConfig, { description: 'What a client needs to know before anybody signs in.' })
  async clientConfig(@Ctx() ctx: GraphCtx) {
    allow(ctx, 'clientConfig');
    return { version: ctx.core.settings.version, viewer: await findViewer(ctx), tagColors };
  }
}
