import { Field, ObjectType } from 'type-graphql';
import { JsonScalar, UrlScalar } from '../../scalars.ts';
import { Stored } from '../../stored.ts';

@ObjectType('Contact', {
  implements: Stored,
  simpleResolvers: true,
  description: 'The outside party, known by the sender id of a source.',
})
export class ContactType extends Stored {
  @Field(() => String, { description: 'What to call them; made from the id where no name is known.' })
  displayName!: string;

  @Field(() => Boolean, { description: 'A name is known; else clients may show one of their own making.' })
  isNamed!: boolean;

  @Field(() => String, { nullable: true, description: 'First name.' })
  firstName!: string | null;

  @Field(() => String, { nullable: true, description: 'Last name.' })
  lastName!: string | null;

  @Field(() => UrlScalar, { nullable: true, description: 'A picture. Never loaded by us.' })
  avatarUrl!: string | null;

  @Field(() => String, { nullable: true, description: 'The id by which the back ends of the operator know them.' })
  externalId!: string | null;

  @Field(() => JsonScalar, { description: 'Further facts.' })
  metadata!: Record<string, unknown>;
}
