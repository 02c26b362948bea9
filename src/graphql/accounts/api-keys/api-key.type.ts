import { Field, ID, InputType, Int, ObjectType, registerEnumType } from 'type-graphql';
import type { ApiKeyKind, ApiKeyRole } from '../../../domain/accounts/api-keys/api-key.entity.ts';
import { countedFields, PageInfo } from '../../connection.ts';
import { CursorScalar, DateTimeScalar, JsonScalar } from '../../scalars.ts';
import { Stored } from '../../stored.ts';

const kinds: Record<ApiKeyKind, ApiKeyKind> = { SECRET: 'SECRET', PUBLIC: 'PUBLIC', ENDPOINT: 'ENDPOINT' };
const roles: Record<ApiKeyRole, ApiKeyRole> = { SUPPORT: 'SUPPORT', EDITOR: 'EDITOR', ADMIN: 'ADMIN' };
registerEnumType(kinds, {
  name: 'ApiKeyKind',
  description: 'What a key is for; it begins accordingly.',
  valuesConfig: {
    SECRET: { description: '`sk_`: back ends. Never give it to an app.' },
    PUBLIC: { description: '`pk_`: apps, where everybody can read it.' },
    ENDPOINT: { description: '`ak_`: callers of endpoints that users define.' },
  },
});
registerEnumType(roles, {
  name: 'ApiKeyRole',
  description: 'What a key may do where it opens something; each may do what those before it may.',
  valuesConfig: {
    SUPPORT: { description: 'Looks.' },
    EDITOR: { description: 'Sends and writes.' },
    ADMIN: { description: 'All.' },
  },
});

@ObjectType('ApiKey', {
  implements: Stored,
  simpleResolvers: true,
  description: 'What a program calls with. The key itself was shown once, when it was made.',
})
export class ApiKeyType extends Stored {
  @Field(() => String, { description: 'What to call it.' })
  name!: string;

  @Field(() => kinds, { description: 'What it is for.' })
  kind!: ApiKeyKind;

  @Field(() => roles, { description: 'What it may do.' })
  role!: ApiKeyRole;

  @Field(() => String, { description: 'Its last four characters, to tell it from others.' })
  last4!: string;

  @Field(() => JsonScalar, { description: 'What its holder is to those who look at it.' })
  variables!: unknown;

  @Field(() => [String], { description: 'Addresses and ranges from which it may be used; none: from anywhere.' })
  addresses!: string[];

  @Field(() => DateTimeScalar, { description: 'When it was made.' })
  createdAt!: Date;

  @Field(() => DateTimeScalar, { nullable: true, description: 'When it ends by itself.' })
  expiresAt!: Date | null;

  @Field(() => DateTimeScalar, { nullable: true, description: 'When it was ended.' })
  revokedAt!: Date | null;

  @Field(() => DateTimeScalar, { nullable: true, description: 'When it was last used, to the minute.' })
  lastUsedAt!: Date | null;
}

@ObjectType({ simpleResolvers: true, description: 'A key at its place in a list.' })
export class ApiKeyEdge {
  @Field(() => CursorScalar, { description: 'Its place.' })
  cursor!: string;

  @Field(() => ApiKeyType, { description: 'The key.' })
  node!: ApiKeyType;
}

@ObjectType({ simpleResolvers: true, description: 'A page of keys, the newest first.' })
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

@ObjectType('ApiKeyGroup', { implements: Stored, simpleResolvers: true, description: 'A named set of keys.' })
export class ApiKeyGroupType extends Stored {
  @Field(() => String, { description: 'What to call it.' })
  name!: string;
}

const variablesText = 'An object of at most 16 KiB: what its holder is to those who look at it.';
const addressesText = 'IPv4, IPv6 or CIDR, at most 100, such as 203.0.113.0/24; none: from anywhere.';

@InputType({ description: 'A new key.' })
export class CreateApiKeyInput {
  @Field(() => String, { description: '1 to 255 characters of one line.' })
  name!: string;

  @Field(() => kinds, { description: 'What it is for.' })
  kind!: ApiKeyKind;

  @Field(() => roles, { nullable: true, description: 'What it may do; EDITOR by default.' })
  role?: ApiKeyRole;

  @Field(() => JsonScalar, { nullable: true, description: variablesText })
  variables?: unknown;

  @Field(() => [String], { nullable: true, description: addressesText })
  addresses?: string[];

  @Field(() => DateTimeScalar, { nullable: true, description: 'When it ends by itself; left out: never.' })
  expiresAt?: Date;
}

@InputType({ description: 'Which key.' })
export class ApiKeyInput {
  @Field(() => ID, { description: 'Its id.' })
  apiKeyId!: string;
}

@InputType({ description: 'A key and what changes: a missing field stays.' })
export class UpdateApiKeyInput extends ApiKeyInput {
  @Field(() => String, { nullable: true, description: '1 to 255 characters of one line.' })
  name?: string;

  @Field(() => JsonScalar, { nullable: true, description: variablesText })
  variables?: unknown;

  @Field(() => [String], { nullable: true, description: addressesText })
  addresses?: string[];

  @Field(() => DateTimeScalar, { nullable: true, description: 'When it ends by itself; null: never.' })
  expiresAt?: Date | null;
}

@ObjectType({ simpleResolvers: true, description: 'The key after the change.' })
export class ApiKeyPayload {
  @Field(() => ApiKeyType, { description: 'The key.' })
  apiKey!: ApiKeyType;
}

@ObjectType({ simpleResolvers: true, description: 'A new key. Keep it: it is shown here and never again.' })
export class CreateApiKeyPayload extends ApiKeyPayload {
  @Field(() => String, { description: 'The key itself, for `Authorization: Bearer <key>`.' })
  key!: string;
}

@ObjectType({ simpleResolvers: true, description: 'The key, which opens nothing any more.' })
export class RevokeApiKeyPayload extends ApiKeyPayload {
  @Field(() => Boolean, { description: 'False when it was revoked already.' })
  changed!: boolean;
}

@InputType({ description: 'A new group.' })
export class CreateApiKeyGroupInput {
  @Field(() => String, { description: '1 to 255 characters of one line; no two groups have the same.' })
  name!: string;

  @Field(() => [ID], { nullable: true, description: 'The keys that belong to it.' })
  apiKeyIds?: string[];
}

@InputType({ description: 'Which group.' })
export class ApiKeyGroupInput {
  @Field(() => ID, { description: 'Its id.' })
  groupId!: string;
}

@InputType({ description: 'A group and what changes: a missing field stays.' })
export class UpdateApiKeyGroupInput extends ApiKeyGroupInput {
  @Field(() => String, { nullable: true, description: '1 to 255 characters of one line.' })
  name?: string;

  @Field(() => [ID], { nullable: true, description: 'All keys that belong to it from now on.' })
  apiKeyIds?: string[];
}

@ObjectType({ simpleResolvers: true, description: 'The group after the change.' })
export class ApiKeyGroupPayload {
  @Field(() => ApiKeyGroupType, { description: 'The group.' })
  group!: ApiKeyGroupType;
}
