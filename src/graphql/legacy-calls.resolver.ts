import { Arg, Ctx, Field, Float, Int, ObjectType, Query, Resolver, registerEnumType } from 'type-graphql';
import { listLegacyCalls } from '../domain/legacy-calls.ts';
import type { GraphCtx } from './context.ts';
import { DateTimeScalar } from './scalars.ts';

enum CallerKind {
  USER = 'USER',
  SOURCE = 'SOURCE',
  KEY = 'KEY',
  ANONYMOUS = 'ANONYMOUS',
}
registerEnumType(CallerKind, { name: 'CallerKind', description: 'What kind of token made a call.' });

@ObjectType({ simpleResolvers: true, description: 'How often somebody made a call of the older contracts.' })
export class LegacyCall {
  @Field(() => String, { description: 'The call, such as conversations.list.' })
  name!: string;

  @Field(() => String, { description: 'The field of this schema that replaces it.' })
  field!: string;

  @Field(() => CallerKind, { description: 'What kind of token.' })
  callerKind!: string;

  @Field(() => String, {
    nullable: true,
    description:
      'E-mail address, name of the source or of the API key; null for nobody and for who is not there any more.',
  })
  callerName!: string | null;

  @Field(() => Float, { description: 'How often.' })
  calls!: number;

  @Field(() => DateTimeScalar, { description: 'When last.' })
  lastAt!: Date;
}

@Resolver()
export class LegacyCallsResolver {
  @Query(() => [LegacyCall], {
    description: 'Which calls of the older contracts were made by whom, the most frequent first; 1,000 at most.',
  })
  legacyCalls(
    @Ctx() ctx: GraphCtx,
    @Arg('days', () => Int, { defaultValue: 30, description: 'In the last days, 1 to 366.' }) days: number,
  ) {
    return listLegacyCalls(ctx, { days });
  }
}
