-- Keys with which other programs call routes of their own, groups of them, and secrets that flows send to one origin.

create table api_key (
  id uuid primary key,
  name text not null,
  kind text not null check (kind in ('SECRET', 'PUBLIC', 'ENDPOINT')),
  role text not null check (role in ('SUPPORT', 'EDITOR', 'ADMIN')),
  hash text not null unique,                 -- SHA-256 of the key: it is shown once and stored nowhere
  last4 text not null,
  variables jsonb not null default '{}',
  allowed_cidrs text[] not null default '{}', -- empty: from anywhere
  expires_at timestamptz(3),
  last_used_at timestamptz(3),
  revoked_at timestamptz(3),
  created_by uuid references user_account (id),
  created_at timestamptz(3) not null default now()
);
create index api_key_place on api_key (created_at desc, id desc);
create index api_key_live on api_key (id) where revoked_at is null;

create table api_key_group (
  id uuid primary key,
  name text not null unique,
  created_at timestamptz(3) not null default now()
);

create table api_key_group_member (
  group_id uuid not null references api_key_group (id) on delete cascade,
  key_id uuid not null references api_key (id) on delete cascade,
  primary key (group_id, key_id)
);
create index api_key_group_member_key on api_key_group_member (key_id);

create table secret (
  id uuid primary key,
  name text not null unique,                 -- as it is written: {{ secrets.name }}
  origin text not null,                      -- the only one it may be sent to
  value_encrypted text not null,             -- bound to id and origin: in another row, or with another origin, it does not open
  created_at timestamptz(3) not null default now(),
  updated_at timestamptz(3) not null default now()
);

-- down
drop table secret, api_key_group_member, api_key_group, api_key;
