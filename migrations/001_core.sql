-- Accounts, messaging, the event log and the lanes. Times of the domain have milliseconds, so that a cursor
-- that carries one is exact.

create table user_account (
  id uuid primary key,
  email text not null,
  email_key text not null unique,            -- NFKC, lower case: what "the same address" means
  password_hash text not null,
  first_name text not null,
  last_name text not null,
  avatar_url text,
  role text not null check (role in ('ADMIN', 'AGENT')),
  token_version int not null default 1,      -- raised when older tokens must die
  active boolean not null default true,
  created_at timestamptz(3) not null default now(),
  first_seen_at timestamptz(3),
  last_seen_at timestamptz(3)
);

create table installation (
  only_row boolean primary key default true check (only_row),
  first_user_id uuid not null,
  created_at timestamptz(3) not null default now()
);

create table reset_token (
  token_hash text primary key,               -- SHA-256 of the id inside the token
  user_id uuid not null references user_account (id) on delete cascade,
  expires_at timestamptz(3) not null,
  created_at timestamptz(3) not null default now()
);
create index reset_token_user on reset_token (user_id);
create index reset_token_age on reset_token (expires_at);

create table login_throttle (
  throttle_key text primary key,             -- account or address, hashed
  failures int not null,
  window_ends_at timestamptz(3) not null,
  blocked_until timestamptz(3)
);
create index login_throttle_age on login_throttle (window_ends_at);

create table source (
  id uuid primary key,
  source_id text not null unique,
  name text,
  image_url text,
  action_endpoint text,
  token_id uuid not null,
  token_encrypted text not null,             -- needed to sign action calls
  signing_secret_encrypted text not null,
  previous_signing_secret_encrypted text,
  previous_signing_secret_until timestamptz(3),
  reachable boolean not null default true,
  last_error text,
  deleted_at timestamptz(3),
  created_at timestamptz(3) not null default now()
);

create table channel (
  id uuid primary key,
  source uuid not null references source (id),
  source_channel_id text not null,
  name text not null,
  image_url text,
  metadata jsonb not null default '{}',
  connected boolean not null default true,
  created_at timestamptz(3) not null default now(),
  updated_at timestamptz(3) not null default now(),
  unique (source, source_channel_id)
);

create table channel_credentials (
  channel_id uuid primary key references channel (id) on delete cascade,
  credentials_encrypted text not null
);

create table contact (
  id uuid primary key,
  display_name text,
  first_name text,
  last_name text,
  avatar_url text,
  external_id text unique,
  metadata jsonb not null default '{}',
  created_at timestamptz(3) not null default now()
);

create table contact_identity (
  source uuid not null references source (id),
  sender_id text not null,
  contact_id uuid not null references contact (id),
  primary key (source, sender_id)
);
create index contact_identity_contact on contact_identity (contact_id);

create table contact_address (
  contact_id uuid not null references contact (id) on delete cascade,
  kind text not null check (kind in ('email', 'phone')),
  address text not null,
  primary key (contact_id, kind, address)
);
create index contact_address_address on contact_address (kind, address);

create table conversation (
  id uuid primary key,
  source uuid not null references source (id),
  source_conversation_id text not null,
  channel_id uuid not null references channel (id),
  contact_id uuid references contact (id),
  state text not null default 'OPEN' check (state in ('OPEN', 'SNOOZED', 'CLOSED')),
  assignee_id uuid references user_account (id),
  metadata jsonb not null default '{}',
  unread_count int not null default 0,
  message_count int not null default 0,
  next_sequence int not null default 1,
  last_message_at timestamptz(3) not null,
  last_message_id uuid,
  created_at timestamptz(3) not null,
  updated_at timestamptz(3) not null default now(),
  unique (source, source_conversation_id)
) with (fillfactor = 80);
create index conversation_recency on conversation (last_message_at desc, id desc);
create index conversation_contact on conversation (contact_id, last_message_at desc, id desc);
create index conversation_channel on conversation (channel_id);

create table message (
  id uuid primary key,
  conversation_id uuid not null,
  source uuid not null,
  source_message_id text,
  sequence int not null,
  from_contact boolean not null,
  sender_type text not null check (sender_type in ('CONTACT', 'USER', 'BOT', 'CAMPAIGN', 'SOURCE')),
  sender_id text not null,
  content jsonb not null,
  delivery_state text not null check (delivery_state in ('PENDING', 'SENT', 'DELIVERED', 'READ', 'FAILED')),
  failure jsonb,
  metadata jsonb not null default '{}',
  sent_at timestamptz(3) not null,
  created_at timestamptz(3) not null default now()
);
create index message_order on message (conversation_id, sent_at, sequence);
create index message_pending on message (conversation_id, sequence) where delivery_state = 'PENDING';
-- What we sent has an id of our own: the source may tell it again by webhook, under the id it gave in its answer.
create unique index message_sent_source_id on message (source, source_message_id)
  where sender_type in ('USER', 'BOT', 'CAMPAIGN') and source_message_id is not null;

create table tag (
  id uuid primary key,
  name text not null,
  color text not null check (color in ('RED', 'BLUE', 'GREEN', 'PURPLE')),
  created_at timestamptz(3) not null default now()
);

create table conversation_tag (
  conversation_id uuid not null,
  tag_id uuid not null references tag (id) on delete cascade,
  primary key (conversation_id, tag_id)
);
create index conversation_tag_tag on conversation_tag (tag_id, conversation_id);

create table waiting_metadata (
  source uuid not null references source (id),
  namespace text not null check (namespace in ('conversation', 'message')),
  subject_id text not null,
  metadata jsonb not null,
  created_at timestamptz(3) not null default now(),
  primary key (source, namespace, subject_id)
);
create index waiting_metadata_age on waiting_metadata (created_at);

create table delivery_attempt (
  id uuid primary key,
  source uuid not null references source (id),
  conversation_id uuid not null,
  message_id uuid not null,
  attempt int not null,
  url text not null,
  status_code int,
  error text,
  duration_ms int not null,
  request jsonb not null,
  response jsonb,
  at timestamptz(3) not null default now()
);
create index delivery_attempt_source on delivery_attempt (source, id desc);
create index delivery_attempt_age on delivery_attempt (at);

create table idempotency_record (
  scope text not null,
  key text not null,
  request_hash text not null,
  result_id uuid not null,
  created_at timestamptz(3) not null default now(),
  primary key (scope, key)
);
create index idempotency_record_age on idempotency_record (created_at);

create table counter (
  name text not null,
  slot smallint not null,                    -- a total is the sum over its slots: one hot row would serialise writers
  value bigint not null,
  primary key (name, slot)
) with (fillfactor = 50);

create table event (
  txid xid8 not null default pg_current_xact_id(),
  id bigint generated always as identity,
  conversation_id uuid,
  kind text not null,
  payload jsonb not null,
  at timestamptz not null default now(),
  primary key (txid, id)
);

create table event_log (
  epoch uuid not null,
  system_identifier bigint not null,
  timeline int not null,
  trimmed_txid xid8 not null,
  trimmed_id bigint not null
);

create table lane (
  kind text not null,
  id uuid not null,
  lane_group uuid not null,
  due_at timestamptz not null,
  version bigint not null default 1,
  attempts int not null default 0,
  leased_until timestamptz,
  fence bigint not null default 0,
  primary key (kind, id)
) with (fillfactor = 70, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 10000, autovacuum_vacuum_cost_delay = 0);
create index lane_due on lane (lane_group, due_at);
create sequence lane_fence;

-- down
drop sequence lane_fence;
drop table lane, event_log, event, counter, idempotency_record, delivery_attempt, waiting_metadata, conversation_tag,
  tag, message, conversation, contact_address, contact_identity, contact, channel_credentials, channel, source,
  login_throttle, reset_token, installation, user_account;
