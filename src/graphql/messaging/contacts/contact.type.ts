import { Field, Int, ObjectType } from 'type-graphql';
import type { Contact } from '../../../domain/messaging/contacts/contact.entity.ts';
import type { GraphCtx } from '../../context.ts';
import { plainFields } from '../../plain-fields.ts';
import { JsonScalar, UrlScalar } from '../../scalars.ts';
import { Stored } from '../../stored.ts';

@ObjectType({ simpleResolvers: true, description: 'Where somebody lives or works.' })
export class ContactAddress {
  @Field(() => String, { nullable: true, description: 'Organisation.' })
  organizationName!: string | null;

  @Field(() => String, { nullable: true, description: 'Street and number.' })
  addressLine1!: string | null;

  @Field(() => String, { nullable: true, description: 'What the first line has no room for.' })
  addressLine2!: string | null;

  @Field(() => String, { nullable: true, description: 'Postcode.' })
  postcode!: string | null;

  @Field(() => String, { nullable: true, description: 'City.' })
  city!: string | null;

  @Field(() => String, { nullable: true, description: 'State or region.' })
  state!: string | null;

  @Field(() => String, { nullable: true, description: 'Country.' })
  country!: string | null;
}

@ObjectType({ simpleResolvers: true, description: 'A conversation by what names it.' })
export class ConversationRef {
  @Field(() => String, { description: 'The id that REST shows and takes.' })
  legacyId!: string;

  @Field(() => String, { description: 'The name of the source.' })
  sourceId!: string;
}

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

  @Field(() => String, { nullable: true, description: 'Title.' })
  title!: string | null;

  @Field(() => String, { nullable: true, description: 'In their own word.' })
  gender!: string | null;

  @Field(() => Int, { nullable: true, description: 'Hours from UTC.' })
  timezone!: number | null;

  @Field(() => String, { nullable: true, description: 'Language and region.' })
  locale!: string | null;

  @Field(() => String, { nullable: true, description: 'Organisation.' })
  organizationName!: string | null;

  @Field(() => JsonScalar, { description: 'Ids elsewhere, by kind.' })
  via!: Record<string, string>;

  @Field(() => ContactAddress, { nullable: true, description: 'Where they live or work.' })
  address!: ContactAddress | null;

  @Field(() => [ConversationRef], {
    description: 'Their conversations by name alone, the last active first; 100 at most.',
  })
  conversationRefs!: ConversationRef[];
}

// Lists of conversations show none of these: they are read when they are selected.
const detail =
  <Value>(read: (contact: Contact) => Value) =>
  async ({ id }: { id: string }, _args: never, ctx: GraphCtx): Promise<Value | null> => {
    const contact = await ctx.loaders.contactDetails.load(id);
    return contact && read(contact);
  };

plainFields('Contact', {
  title: detail(({ title }) => title),
  gender: detail(({ gender }) => gender),
  timezone: detail(({ timezone }) => timezone),
  locale: detail(({ locale }) => locale),
  organizationName: detail(({ organizationName }) => organizationName),
  via: async (root: { id: string }, args: never, ctx) => (await detail(({ via }) => via)(root, args, ctx)) ?? {},
  address: detail(({ address }) => address),
  conversationRefs: ({ id }: { id: string }, _args: never, ctx) => ctx.loaders.conversationRefs.load(id),
});
