import { Field, ObjectType, registerEnumType } from 'type-graphql';
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
