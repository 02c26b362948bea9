import { createUnionType, Field, ID, InputType, ObjectType } from 'type-graphql';
import { tellMembers } from '../../plain-fields.ts';
import { JsonScalar } from '../../scalars.ts';
import { ChannelType } from '../channels/channel.type.ts';
import { ConversationType } from '../conversations/conversation.type.ts';
import { MessageType } from '../messages/message.type.ts';

export const MetadataSubject = createUnionType({
  name: 'MetadataSubject',
  description: 'What facts can be noted of.',
  types: () => [ConversationType, MessageType, ChannelType] as const,
});

tellMembers<{ typename: string }>('MetadataSubject', ({ typename }) => typename);

@InputType({ description: 'A fact about something.' })
export class SetMetadataInput {
  @Field(() => ID, { description: 'Opaque id of a conversation, message or channel.' })
  subjectId!: string;

  @Field(() => String, {
    description:
      'Below `public`; dots nest, as in ad.id. Not to begin with a name that has a meaning of its own, such as tags.',
  })
  key!: string;

  @Field(() => JsonScalar, { nullable: true, description: 'Any JSON value; null or left out removes the key.' })
  value?: unknown;
}

@InputType({ description: "Facts of the operator's own systems about something." })
export class MergeUserDataInput {
  @Field(() => ID, { description: 'Opaque id of a conversation, message or channel.' })
  subjectId!: string;

  @Field(() => JsonScalar, {
    description: 'An object, merged below `user_data`: nested ones are merged, newer values replace, null removes.',
  })
  data!: unknown;
}

@ObjectType({ simpleResolvers: true, description: 'What the facts were noted of, after the change.' })
export class MetadataPayload {
  @Field(() => MetadataSubject, { description: 'It.' })
  subject!: typeof MetadataSubject;

  @Field(() => Boolean, { description: 'False when it was so already.' })
  changed!: boolean;
}
