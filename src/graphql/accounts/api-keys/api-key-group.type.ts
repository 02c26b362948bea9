import { Field, ID, InputType, ObjectType } from 'type-graphql';
import { DateTimeScalar } from '../../scalars.ts';
import { Stored } from '../../stored.ts';

@ObjectType('ApiKeyGroup', {
  implements: Stored,
  simpleResolvers: true,
  description: 'A named set of API keys. apiKeys(groupId:) lists them.',
})
export class ApiKeyGroupType extends Stored {
  @Field(() => String, { description: 'What to call it.' })
  name!: string;

  @Field(() => DateTimeScalar, { description: 'When it was made.' })
  createdAt!: Date;
}

@InputType({ description: 'A new group.' })
export class CreateApiKeyGroupInput {
  @Field(() => String, { description: '1 to 255 characters of one line, of no other group.' })
  name!: string;
}

@InputType({ description: 'Which group.' })
export class ApiKeyGroupInput {
  @Field(() => ID, { description: 'Its id.' })
  groupId!: string;
}

@InputType({ description: 'A group and its new name.' })
export class RenameApiKeyGroupInput extends ApiKeyGroupInput {
  @Field(() => String, { description: '1 to 255 characters of one line, of no other group.' })
  name!: string;
}

@InputType({ description: 'A group and API keys.' })
export class ApiKeyGroupKeysInput extends ApiKeyGroupInput {
  @Field(() => [ID], { description: 'Ids of keys, 1 to 100.' })
  apiKeyIds!: string[];
}

@ObjectType({ simpleResolvers: true, description: 'The group after the change.' })
export class ApiKeyGroupPayload {
  @Field(() => ApiKeyGroupType, { description: 'The group.' })
  group!: ApiKeyGroupType;
}
