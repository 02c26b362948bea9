import { Field, ID, InputType, ObjectType, registerEnumType } from 'type-graphql';
import type { TagColor } from '../../../domain/messaging/tags/tag.entity.ts';
import { Stored } from '../../stored.ts';

export enum TagColorEnum {
  RED = 'RED',
  BLUE = 'BLUE',
  GREEN = 'GREEN',
  PURPLE = 'PURPLE',
}
registerEnumType(TagColorEnum, { name: 'TagColor', description: 'Colour of a tag.' });

@ObjectType('Tag', { implements: Stored, simpleResolvers: true, description: 'A label on conversations.' })
export class TagType extends Stored {
  @Field(() => String, { description: 'What it says.' })
  name!: string;

  @Field(() => TagColorEnum, { description: 'Its colour.' })
  color!: TagColor;
}

@InputType({ description: 'A new tag.' })
export class CreateTagInput {
  @Field(() => String, { description: 'What it says: 1 to 255 characters of one line.' })
  name!: string;

  @Field(() => TagColorEnum, { description: 'Its colour.' })
  color!: TagColor;
}

@InputType({ description: 'A tag and what changes: a missing field stays.' })
export class UpdateTagInput {
  @Field(() => ID, { description: 'Its id.' })
  tagId!: string;

  @Field(() => String, { nullable: true, description: 'What it says.' })
  name?: string;

  @Field(() => TagColorEnum, { nullable: true, description: 'Its colour.' })
  color?: TagColor;
}

@InputType({ description: 'Which tag.' })
export class TagInput {
  @Field(() => ID, { description: 'Its id.' })
  tagId!: string;
}

@ObjectType({ simpleResolvers: true, description: 'The tag after the change.' })
export class TagPayload {
  @Field(() => TagType, { description: 'The tag.' })
  tag!: TagType;
}
