import { Field, ID, InputType, ObjectType } from 'type-graphql';
import type { ConversationState } from '../../../domain/messaging/conversations/conversation.entity.ts';
import { ConversationStateEnum, ConversationType } from './conversation.type.ts';

@InputType({ description: 'Which conversation.' })
export class ConversationInput {
  @Field(() => ID, { description: 'Its id.' })
  conversationId!: string;
}

@InputType({ description: 'Which conversation, and its state.' })
export class SetConversationStateInput extends ConversationInput {
  @Field(() => ConversationStateEnum, { description: 'What it becomes.' })
  state!: ConversationState;
}

@InputType({ description: 'Which conversation, and who holds it.' })
export class AssignConversationInput extends ConversationInput {
  @Field(() => ID, {
    nullable: true,
    description: 'Id of a person; null or left out takes it away from whoever has it.',
  })
  userId?: string;
}

@InputType({ description: 'Which conversation, and which tag.' })
export class TagConversationInput extends ConversationInput {
  @Field(() => ID, { description: 'Id of the tag.' })
  tagId!: string;
}

@InputType({ description: 'Which conversation, and the name of its contact.' })
export class NameConversationContactInput extends ConversationInput {
  @Field(() => String, { description: '1 to 512 characters of one line.' })
  displayName!: string;
}

@ObjectType({ simpleResolvers: true, description: 'The conversation after the change.' })
export class ConversationPayload {
  @Field(() => ConversationType, { description: 'The conversation.' })
  conversation!: ConversationType;

  @Field(() => Boolean, { description: 'False when it was so already.' })
  changed!: boolean;
}
