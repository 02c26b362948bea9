import { Field, ID, InputType, Int, ObjectType } from 'type-graphql';
import type { Role } from '../../../domain/context.ts';
import { countedFields, PageInfo } from '../../connection.ts';
import { CursorScalar } from '../../scalars.ts';
import { RoleEnum, UserType } from './user.type.ts';

@ObjectType({ simpleResolvers: true, description: 'A person at its place in a list.' })
export class UserEdge {
  @Field(() => CursorScalar, { description: 'Its place.' })
  cursor!: string;

  @Field(() => UserType, { description: 'The person.' })
  node!: UserType;
}

@ObjectType({ simpleResolvers: true, description: 'A page of people, the oldest account first.' })
export class UserConnection {
  @Field(() => [UserEdge], { description: 'The page with cursors.' })
  edges!: UserEdge[];

  @Field(() => [UserType], { description: 'The page.' })
  nodes!: UserType[];

  @Field(() => PageInfo, { description: 'Where the page stands.' })
  pageInfo!: PageInfo;

  @Field(() => Int, { nullable: true, description: 'How many there are; counted only when selected.' })
  total?: number;
}

countedFields('UserConnection', 'total');

@InputType({ description: 'Who is invited.' })
export class InviteUserInput {
  @Field(() => String, { description: 'Where the invitation is mailed to; the address of the account.' })
  email!: string;

  @Field(() => RoleEnum, { nullable: true, description: 'What the person may do; AGENT by default.' })
  role?: Role;
}

@ObjectType({ simpleResolvers: true, description: 'An invitation that was mailed.' })
export class InviteUserPayload {
  @Field(() => String, { description: 'Opens the account once, within 7 days; told here and in the mail only.' })
  invitationId!: string;
}

@InputType({ description: 'An invitation, and who takes it.' })
export class AcceptInvitationInput {
  @Field(() => String, { description: 'From the mail; works once, for 7 days.' })
  invitationId!: string;

  @Field(() => String, { description: 'First name.' })
  firstName!: string;

  @Field(() => String, { description: 'Last name.' })
  lastName!: string;

  @Field(() => String, { description: 'At least PASSWORD_MIN_LENGTH characters, 6 by default.' })
  password!: string;
}

@InputType({ description: 'Who, and what the person may do.' })
export class SetUserRoleInput {
  @Field(() => ID, { description: 'Id of the person.' })
  userId!: string;

  @Field(() => RoleEnum, { description: 'What the person may do from now on.' })
  role!: Role;
}

@InputType({ description: 'Who, and whether the person may sign in.' })
export class SetUserActiveInput {
  @Field(() => ID, { description: 'Id of the person.' })
  userId!: string;

  @Field(() => Boolean, { description: 'False shuts the person out.' })
  active!: boolean;
}

@ObjectType({ simpleResolvers: true, description: 'The person after the change.' })
export class UserPayload {
  @Field(() => UserType, { description: 'The person.' })
  user!: UserType;

  @Field(() => Boolean, { description: 'False when it was so already.' })
  changed!: boolean;
}
