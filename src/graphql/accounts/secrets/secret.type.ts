import { Field, ID, InputType, ObjectType } from 'type-graphql';
import { DateTimeScalar } from '../../scalars.ts';
import { Stored } from '../../stored.ts';

@ObjectType('Secret', {
  implements: Stored,
  simpleResolvers: true,
  description: 'What is sent along with calls of flows to one origin. Its value is shown to nobody.',
})
export class SecretType extends Stored {
  @Field(() => String, { description: 'As templates name it: {{ secrets.<name> }}.' })
  name!: string;

  @Field(() => String, { description: 'The only origin that it is sent to, such as https://api.example.com.' })
  origin!: string;

  @Field(() => DateTimeScalar, { description: 'When it was made.' })
  createdAt!: Date;

  @Field(() => DateTimeScalar, { description: 'When its value was last given.' })
  updatedAt!: Date;
}

@InputType({ description: 'A new secret.' })
export class CreateSecretInput {
  @Field(() => String, { description: '1 to 64 of a to z, 0 to 9 and _.' })
  name!: string;

  @Field(() => String, { description: 'Scheme, host and port only, such as https://api.example.com.' })
  origin!: string;

  @Field(() => String, { description: '1 byte to 8 KiB; it is never shown again.' })
  value!: string;
}

@InputType({ description: 'Which secret.' })
export class SecretInput {
  @Field(() => ID, { description: 'Its id.' })
  secretId!: string;
}

@InputType({ description: 'A secret and what changes: a missing field stays.' })
export class UpdateSecretInput extends SecretInput {
  @Field(() => String, { nullable: true, description: 'Another origin needs the value again.' })
  origin?: string;

  @Field(() => String, { nullable: true, description: 'The new value.' })
  value?: string;
}

@ObjectType({ simpleResolvers: true, description: 'The secret after the change, without its value.' })
export class SecretPayload {
  @Field(() => SecretType, { description: 'The secret.' })
  secret!: SecretType;
}
