import { Field, InputType, ObjectType, registerEnumType } from 'type-graphql';
import type { Role } from '../../../domain/context.ts';
import { DateTimeScalar, UrlScalar } from '../../scalars.ts';
import { Stored } from '../../stored.ts';

export enum RoleEnum {
  ADMIN = 'ADMIN',
  AGENT = 'AGENT',
}
registerEnumType(RoleEnum, {
  name: 'Role',
  description: 'What a person may do.',
  valuesConfig: { ADMIN: { description: 'Everything.' }, AGENT: { description: 'Work in the inbox.' } },
});

@ObjectType('User', { implements: Stored, simpleResolvers: true, description: 'A person who works in the inbox.' })
export class UserType extends Stored {
  @Field(() => String, { description: 'The address the person signs in with.' })
  email!: string;

  @Field(() => String, { description: 'First name.' })
  firstName!: string;

  @Field(() => String, { description: 'Last name.' })
  lastName!: string;

  @Field(() => UrlScalar, { nullable: true, description: 'A picture.' })
  avatarUrl!: string | null;

  @Field(() => RoleEnum, { description: 'What the person may do.' })
  role!: Role;

  @Field(() => Boolean, { description: 'False when the person may not sign in any more.' })
  active!: boolean;

  @Field(() => DateTimeScalar, { nullable: true, description: 'When the person first signed in.' })
  firstSeenAt!: Date | null;

  @Field(() => DateTimeScalar, { nullable: true, description: 'When the person last signed in.' })
  lastSeenAt!: Date | null;
}

@InputType({ description: 'A new account.' })
export class SignUpInput {
  @Field(() => String, { description: 'The address to sign in with; one account each.' })
  email!: string;

  @Field(() => String, { description: 'At least PASSWORD_MIN_LENGTH characters, 6 by default.' })
  password!: string;

  @Field(() => String, { description: 'First name.' })
  firstName!: string;

  @Field(() => String, { description: 'Last name.' })
  lastName!: string;
}

@InputType({ description: 'E-mail address and password.' })
export class LogInInput {
  @Field(() => String, { description: 'The address of the account.' })
  email!: string;

  @Field(() => String, { description: 'Its password.' })
  password!: string;
}

@InputType({ description: 'Whose password is to be set anew.' })
export class RequestPasswordResetInput {
  @Field(() => String, { description: 'The address of the account; the answer does not tell whether there is one.' })
  email!: string;
}

@InputType({ description: 'A mailed token and the password it sets.' })
export class ResetPasswordInput {
  @Field(() => String, { description: 'From the mail; works once, for 60 minutes.' })
  token!: string;

  @Field(() => String, { description: 'At least PASSWORD_MIN_LENGTH characters.' })
  newPassword!: string;
}

@ObjectType({ simpleResolvers: true, description: 'A signed-in person.' })
export class SessionPayload {
  @Field(() => UserType, { description: 'Who it is.' })
  user!: UserType;

  @Field(() => String, { description: 'For `Authorization: Bearer ...`; lives one day.' })
  token!: string;
}

@ObjectType({ simpleResolvers: true, description: 'That it was done, without a word more.' })
export class DonePayload {
  @Field(() => Boolean, { description: 'Always true; what went wrong is an error.' })
  done!: boolean;
}
