import { Field, ID, InputType, Int, ObjectType } from 'type-graphql';
import { countedFields, PageInfo } from '../../connection.ts';
import { CursorScalar, JsonScalar } from '../../scalars.ts';
import { ContactType } from './contact.type.ts';

@InputType({ description: 'Where somebody lives or works.' })
export class ContactAddressInput {
  @Field(() => String, { nullable: true, description: 'Organisation.' })
  organizationName?: string;

  @Field(() => String, { nullable: true, description: 'Street and number.' })
  addressLine1?: string;

  @Field(() => String, { nullable: true, description: 'What the first line has no room for.' })
  addressLine2?: string;

  @Field(() => String, { nullable: true, description: 'Postcode.' })
  postcode?: string;

  @Field(() => String, { nullable: true, description: 'City.' })
  city?: string;

  @Field(() => String, { nullable: true, description: 'State or region.' })
  state?: string;

  @Field(() => String, { nullable: true, description: 'Country.' })
  country?: string;
}

@InputType({ description: 'What is told of a contact: a missing field stays, null or an empty text removes.' })
export class ContactFieldsInput {
  @Field(() => String, { nullable: true, description: 'What to call them.' })
  displayName?: string;

  @Field(() => String, { nullable: true, description: 'First name.' })
  firstName?: string;

  @Field(() => String, { nullable: true, description: 'Last name.' })
  lastName?: string;

  @Field(() => String, { nullable: true, description: 'Absolute http or https address of a picture.' })
  avatarUrl?: string;

  @Field(() => String, { nullable: true, description: 'Title.' })
  title?: string;

  @Field(() => String, { nullable: true, description: 'In their own word.' })
  gender?: string;

  @Field(() => Int, { nullable: true, description: 'Hours from UTC, -12 to 14.' })
  timezone?: number;

  @Field(() => String, { nullable: true, description: 'Language and region, such as de_DE.' })
  locale?: string;

  @Field(() => String, { nullable: true, description: 'Organisation.' })
  organizationName?: string;

  @Field(() => JsonScalar, {
    nullable: true,
    description: 'An object of texts: ids elsewhere by kind, merged by kind.',
  })
  via?: unknown;

  @Field(() => ContactAddressInput, { nullable: true, description: 'Merged by part.' })
  address?: ContactAddressInput;

  @Field(() => [ID], {
    nullable: true,
    description: 'Conversations that are theirs; who writes in them is them from now on.',
  })
  conversationIds?: string[];
}

@InputType({ description: 'Which contact.' })
export class ContactInput {
  @Field(() => ID, { description: 'Its id.' })
  contactId!: string;
}

@InputType({ description: 'A contact and what changes.' })
export class UpdateContactInput extends ContactFieldsInput {
  @Field(() => ID, { description: 'Its id.' })
  contactId!: string;
}

@InputType({ description: 'Many contacts: all of them are made or none.' })
export class ImportContactsInput {
  @Field(() => [ContactFieldsInput], { description: '1,000 at most.' })
  contacts!: ContactFieldsInput[];
}

@ObjectType({ simpleResolvers: true, description: 'The contact after the change.' })
export class ContactPayload {
  @Field(() => ContactType, { description: 'The contact.' })
  contact!: ContactType;
}

@ObjectType({ simpleResolvers: true, description: 'The contacts that were made, in the order given.' })
export class ImportContactsPayload {
  @Field(() => [ContactType], { description: 'The contacts.' })
  contacts!: ContactType[];
}

@ObjectType({ simpleResolvers: true, description: 'A contact at its place in a list.' })
export class ContactEdge {
  @Field(() => CursorScalar, { description: 'Its place.' })
  cursor!: string;

  @Field(() => ContactType, { description: 'The contact.' })
  node!: ContactType;
}

@ObjectType({ simpleResolvers: true, description: 'A page of contacts, newest first.' })
export class ContactConnection {
  @Field(() => [ContactEdge], { description: 'The page with cursors.' })
  edges!: ContactEdge[];

  @Field(() => [ContactType], { description: 'The page.' })
  nodes!: ContactType[];

  @Field(() => PageInfo, { description: 'Where the page stands.' })
  pageInfo!: PageInfo;

  @Field(() => Int, { nullable: true, description: 'How many there are; counted only when selected.' })
  total?: number;
}

countedFields('ContactConnection', 'total');
