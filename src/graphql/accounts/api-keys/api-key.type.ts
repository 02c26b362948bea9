import { Field, ID, InputType, Int, ObjectType, registerEnumType } from 'type-graphql';
import type { ApiKey } from '../../../domain/accounts/api-keys/api-key.entity.ts';
import type { ApiKeyKind, ApiKeyRole } from '../../../domain/context.ts';
import { countedFields, PageInfo } from '../../connection.ts';
import { plainFields } from '../../plain-fields.ts';
import { CursorScalar, DateTimeScalar, JsonScalar } from '../../scalars.ts';
import { Stored } from '../../stored.ts';
import { UserType } from '../users/user.type.ts';
import { ApiKeyGroupType } from './api-key-group.type.ts';

export enum ApiKeyKindEnum {
  SECRET = 'SECRET',
  PUBLIC = 'PUBLIC',
  ENDPOINT = 'ENDPOINT',
}
registerEnumType(ApiKeyKindEnum, {
  name: 'ApiKeyKind',
  description: 'Who is to hold an API key.',
  valuesConfig: {
    SECRET: { description: 'Back ends: sk_.' },
    PUBLIC: { description: 'Apps and pages, where everybody can read it: pk_.' },
    ENDPOINT: { description: 'Callers of App endpoints: ak_.' },
  },
});

export enum ApiKeyRoleEnum {
  SUPPORT = 'SUPPORT',
  EDITOR = 'EDITOR',
  ADMIN = 'ADMIN',
}
registerEnumType(ApiKeyRoleEnum, {
  name: 'ApiKeyRole',
  description: 'What a secret key may do, each more than the one before it.',
  valuesConfig: {
    SUPPORT: { description: 'The least; what keys of the other kinds have.' },
    EDITOR: { description: 'Trigger campaigns too.' },
    ADMIN: { description: 'The most.' },
  },
});

@ObjectType('ApiKey', {
  implements: Stored,
  simpleResolvers: true,
  description: 'A token of another program. The key itself was shown when it was made and is not stored.',
})
export class ApiKeyType extends Stored {
  @Field(() => String, { description: 'What to call it.' })
  name!: string;

  @Field(() => ApiKeyKindEnum, { description: 'Who is to hold it.' })
  kind!: ApiKeyKind;

  @Field(() => ApiKeyRoleEnum, { description: 'What it may do.' })
  role!: ApiKeyRole;

  @Field(() => String, { description: 'Its last four characters.' })
  last4!: string;

  @Field(() => JsonScalar, { description: 'User variables: an object that is known wherever the key is used.' })
  variables!: Record<string, unknown>;

  @Field(() => [String], { description: 'Addresses and ranges it is taken from; empty: from anywhere.' })
  allowedCidrs!: string[];

  @Field(() => DateTimeScalar, { nullable: true, description: 'When it ends; null: never.' })
  expiresAt!: Date | null;

  @Field(() => DateTimeScalar, { nullable: true, description: 'When it was last used, to the minute.' })
  lastUsedAt!: Date | null;

  @Field(() => DateTimeScalar, { nullable: true, description: 'When it was revoked; null: it is not.' })
  revokedAt!: Date | null;

  @Field(() => DateTimeScalar, { description: 'When it was made.' })
  createdAt!: Date;

  @Field(() => UserType, { nullable: true, description: 'Who made it.' })
  createdBy!: UserType | null;

  @Field(() => [ApiKeyGroupType], { description: 'The groups it is in, by name; 100 at most.' })
  groups!: ApiKeyGroupType[];
}

plainFields<ApiKey>('ApiKey', {
  createdBy: ({ createdBy }, _, ctx) => createdBy && ctx.loaders.user.load(createdBy),
  groups: ({ id }, _, ctx) => ctx.loaders.groupsOfApiKey.load(id),
});

@ObjectType({ simpleResolvers: true, description: 'An API key at its place in a list.' })
export class ApiKeyEdge {
  @Field(() => CursorScalar, { description: 'Its place.' })
  cursor!: string;

  @Field(() => ApiKeyType, { description: 'The key.' })
  node!: ApiKeyType;
}

@ObjectType({ simpleResolvers: true, description: 'A page of API keys, the newest first.' })
export class ApiKeyConnection {
  @Field(() => [ApiKeyEdge], { description: 'The page with cursors.' })
  edges!: ApiKeyEdge[];

  @Field(() => [ApiKeyType], { description: 'The page.' })
  nodes!: ApiKeyType[];

  @Field(() => PageInfo, { description: 'Where the page stands.' })
  pageInfo!: PageInfo;

  @Field(() => Int, { nullable: true, description: 'How many there are; counted only when selected.' })
  total?: number;
}

countedFields('ApiKeyConnection', 'total');

const variablesText = 'User variables: an object, 16 KiB at most as JSON.';
const addressesText = 'IPv4, IPv6 or CIDR, 100 at most; an empty list: from anywhere.';

@InputType({ description: 'A new API key.' })
export class CreateApiKeyInput {
  @Field(() => String, { description: '1 to 255 characters of one line.' })
  name!: string;

  @Field(() => ApiKeyKindEnum, { description: 'Who is to hold it.' })
  kind!: ApiKeyKind;

  @Field(() => ApiKeyRoleEnum, { nullable: true, description: 'Of a SECRET key only; EDITOR by default.' })
  role?: ApiKeyRole;

  @Field(() => JsonScalar, { nullable: true, description: variablesText })
  variables?: unknown;

  @Field(() => [String], { nullable: true, description: addressesText })
  allowedCidrs?: string[];

  @Field(() => DateTimeScalar, { nullable: true, description: 'When it ends, in the future; never by default.' })
  expiresAt?: Date;
}

@InputType({ description: 'Which API key.' })
export class ApiKeyInput {
  @Field(() => ID, { description: 'Its id.' })
  apiKeyId!: string;
}

@InputType({ description: 'An API key and what changes: a missing field stays.' })
export class UpdateApiKeyInput extends ApiKeyInput {
  @Field(() => String, { nullable: true, description: '1 to 255 characters of one line.' })
  name?: string;

  @Field(() => JsonScalar, { nullable: true, description: variablesText })
  variables?: unknown;

  @Field(() => [String], { nullable: true, description: addressesText })
  allowedCidrs?: string[];

  @Field(() => DateTimeScalar, { nullable: true, description: 'When it ends, in the future; null: never.' })
  expiresAt?: Date | null;
}

@ObjectType({ simpleResolvers: true, description: 'The new API key.' })
export class CreateApiKeyPayload {
  @Field(() => ApiKeyType, { description: 'What is stored of it.' })
  apiKey!: ApiKeyType;

  @Field(() => String, { description: 'The key itself, shown once: it cannot be had again.' })
  key!: string;
}

@ObjectType({ simpleResolvers: true, description: 'The API key after the change.' })
export class ApiKeyPayload {
  @Field(() => ApiKeyType, { description: 'The key.' })
  apiKey!: ApiKeyType;
}

@ObjectType({ simpleResolvers: true, description: 'The API key, which is revoked.' })
export class RevokeApiKeyPayload extends ApiKeyPayload {
  @Field(() => Boolean, { description: 'False when it was so already.' })
  changed!: boolean;
}
