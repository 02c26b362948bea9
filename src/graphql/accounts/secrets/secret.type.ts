import { Field, ID, InputType, ObjectType } from 'type-graphql';
import { DateTimeScalar } from '../../scalars.ts';
import { Stored } from '../../stored.ts';

@ObjectType('Secret', {
  implements: Stored,
  simpleResolvers: true,
  description: 'A value that HTTP steps may send to one origin. It is stored encrypted and never shown.',
})
export class SecretType extends Stored {
  @Field(() => String, { description: 'As templates write it: {{ secrets.name }}.' })
  name!: string;

  @Field(() => String, { description: 'The only origin it is sent to.' })
  origin!: string;

  @Field(() => DateTimeScalar, { description: 'When it was made.' })
  createdAt!: Date;

  @Field(() => DateTimeScalar, { description: 'When its value or origin was last given.' })
  updatedAt!: Date;
}

const originText = 'http or https, a host and perhaps a port: https://crm.example.com.';
const valueText = '1 byte to 8 KiB, without NUL.';

@InputType({ description: 'A new secret.' })
export class CreateSecretInput {
  @Field(() => String, { description: '1 to 64 of a to z, 0 to 9 and _; for good.' })
  name!: string;

  @Field(() => String, { description: originText })
  origin!: string;

  @Field(() => String, { description: valueText })
  value!: string;
}

@InputType({ description: 'Which secret.' })
export class SecretInput {
  @Field(() => ID, { description: 'Its id.' })
  secretId!: string;
}

@InputType({ description: 'A secret and what changes: a missing field stays.' })
export class UpdateSecretInput extends SecretInput {
  @Field(() => String, { nullable: true, description: `${originText} Another one needs the value as well.` })
  origin?: string;

  @Field(() => String, { nullable: true, description: valueText })
  value?: string;
}

@ObjectType({ simpleResolvers: true, description: 'The secret after the change.' })
export class SecretPayload {
  @Field(() => SecretType, { description: 'The secret.' })
  secret!: SecretType;
}
