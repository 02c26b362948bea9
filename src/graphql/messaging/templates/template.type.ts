import { Field, ID, InputType, ObjectType } from 'type-graphql';
import { JsonScalar } from '../../scalars.ts';
import { Stored } from '../../stored.ts';

@ObjectType('MessageTemplate', {
  implements: Stored,
  simpleResolvers: true,
  description: 'A content to send again and again, as one kind of source wants it.',
})
export class TemplateType extends Stored {
  @Field(() => String, { description: 'What to call it.' })
  name!: string;

  @Field(() => String, { description: 'The name of the source it is for.' })
  sourceId!: string;

  @Field(() => JsonScalar, { description: 'The content.' })
  content!: unknown;
}

@InputType({ description: 'A new template.' })
export class CreateTemplateInput {
  @Field(() => String, { description: '1 to 255 characters of one line.' })
  name!: string;

  @Field(() => String, { description: 'The name of the source it is for.' })
  sourceId!: string;

  @Field(() => JsonScalar, { description: 'Any JSON value, 8 KiB at most.' })
  content!: unknown;
}

@InputType({ description: 'Which template.' })
export class TemplateInput {
  @Field(() => ID, { description: 'Its id.' })
  templateId!: string;
}

@InputType({ description: 'A template and what changes: a missing field stays.' })
export class UpdateTemplateInput extends TemplateInput {
  @Field(() => String, { nullable: true, description: '1 to 255 characters of one line.' })
  name?: string;

  @Field(() => String, { nullable: true, description: 'The name of the source it is for.' })
  sourceId?: string;

  @Field(() => JsonScalar, { nullable: true, description: 'Any JSON value, 8 KiB at most.' })
  content?: unknown;
}

@ObjectType({ simpleResolvers: true, description: 'The template after the change.' })
export class TemplatePayload {
  @Field(() => TemplateType, { description: 'The template.' })
  template!: TemplateType;
}
