import { Field, ID, InputType } from 'type-graphql';
import type { ConversationState } from '../../../domain/messaging/conversations/conversation.entity.ts';
import type {
  ConversationFilter,
  ConversationTerms,
} from '../../../domain/messaging/conversations/conversation.list.service.ts';
import { optionalUuidOf, sourceNameOf, uuidOf } from '../../ids.ts';
import { DateTimeScalar } from '../../scalars.ts';
import { ConversationStateEnum } from './conversation.type.ts';

@InputType({ description: 'A fact that a conversation must have.' })
export class MetadataTermInput {
  @Field(() => String, { description: 'Its key; dots nest, as in `user_data.erp.id`.' })
  key!: string;

  @Field(() => String, { description: 'Words that stand there in a row, in any case.' })
  value!: string;
}

const nullable = { nullable: true } as const;

@InputType({ description: 'All that is given must hold.' })
export class ConversationTermsInput {
  @Field(() => String, {
    ...nullable,
    description: 'In the syntax of Lucene, such as `display_name:*Lovelace AND unread_count:[1 TO *]`.',
  })
  query?: string | null;

  @Field(() => [ConversationStateEnum], { ...nullable, description: 'One of these.' })
  states?: ConversationState[] | null;

  @Field(() => [ID], { ...nullable, description: 'One of these channels.' })
  channelIds?: string[] | null;

  @Field(() => [String], { ...nullable, description: 'One of these sources, by name.' })
  sourceIds?: string[] | null;

  @Field(() => [ID], { ...nullable, description: 'All of these tags.' })
  tagIds?: string[] | null;

  @Field(() => ID, { ...nullable, description: 'Held by this person.' })
  assigneeId?: string | null;

  @Field(() => Boolean, { ...nullable, description: 'True: nobody holds it; false: somebody does.' })
  unassigned?: boolean | null;

  @Field(() => Boolean, { ...nullable, description: 'Whether messages of the contact are unread.' })
  unread?: boolean | null;

  @Field(() => DateTimeScalar, { ...nullable, description: 'It began then or later.' })
  createdFrom?: Date | null;

  @Field(() => DateTimeScalar, { ...nullable, description: 'It began before.' })
  createdBefore?: Date | null;

  @Field(() => DateTimeScalar, { ...nullable, description: 'Its latest message was sent then or later.' })
  lastMessageFrom?: Date | null;

  @Field(() => DateTimeScalar, { ...nullable, description: 'Its latest message was sent before.' })
  lastMessageBefore?: Date | null;

  @Field(() => String, {
    ...nullable,
    description: "Words in the contact's name or in one message, in any case; the last may be the beginning of one.",
  })
  text?: string | null;

  @Field(() => [MetadataTermInput], { ...nullable, description: 'All of these facts.' })
  metadata?: MetadataTermInput[] | null;
}

@InputType({ description: 'Which conversations a list shows: all that is given must hold, at most 64 clauses.' })
export class ConversationFilterInput extends ConversationTermsInput {
  @Field(() => [ConversationTermsInput], { ...nullable, description: 'One of these holds too.' })
  anyOf?: ConversationTermsInput[] | null;

  @Field(() => [ConversationTermsInput], { ...nullable, description: 'None of these holds.' })
  noneOf?: ConversationTermsInput[] | null;
}

/** With bare ids. @throws InvalidInput an id of another type */
export function filterInput({ anyOf, noneOf, ...terms }: ConversationFilterInput): ConversationFilter {
  return {
    ...termsInput(terms, 'filter'),
    anyOf: anyOf?.map((one, index) => termsInput(one, `filter.anyOf[${index}]`)),
    noneOf: noneOf?.map((one, index) => termsInput(one, `filter.noneOf[${index}]`)),
  };
}

function termsInput(terms: ConversationTermsInput, path: string): ConversationTerms {
  const ids = (type: string, name: 'channelIds' | 'tagIds') =>
    terms[name]?.map((id, index) => uuidOf(type, id, `${path}.${name}[${index}]`));
  return {
    ...terms,
    channelIds: ids('Channel', 'channelIds'),
    tagIds: ids('Tag', 'tagIds'),
    sourceIds: terms.sourceIds?.map(sourceNameOf),
    assigneeId: optionalUuidOf('User', terms.assigneeId, `${path}.assigneeId`),
  };
}
