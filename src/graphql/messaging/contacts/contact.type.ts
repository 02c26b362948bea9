import { Field, ObjectType } from 'type-graphql';
import type { Contact } from '../../../domain/messaging/contacts/contact.entity.ts';
import { plainFields } from '../../plain-fields.ts';
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

plainFields<Contact>('Contact', {
  displayName: (contact) => contact.displayName ?? `Contact ${contact.id.slice(-5)}`,
  isNamed: (contact) => contact.displayName !== null,
});
