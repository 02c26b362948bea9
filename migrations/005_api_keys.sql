-- Keys of programs that call, and secrets that are sent along with calls of ours.

create table api_key (
  id uuid primary key,
  name text not null,
  kind text not null check (kind in ('SECRET', 'PUBLIC', 'ENDPOINT')),
  role text not null check (role in ('SUPPORT', 'EDITOR', 'ADMIN')),
  hash text not null unique,                 -- SHA-256 of the key, which is shown once and kept nowhere
  last4 text not null,
  variables jsonb not null default '{}',
  addresses text[] not null default '{}',    -- from where it may be used; none: from anywhere
  created_by uuid,
  created_at timestamptz(3) not null default now(),
  expires_at timestamptz(3),
  revoked_at timestamptz(3),
  last_used_at timestamptz(3)
);

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
  name text not null unique,                 -- as it is written: {{ secrets.crm_key }}
  origin text not null,                      -- the only one that it is sent to
  value_encrypted text not null,
  created_at timestamptz(3) not null default now(),
  updated_at timestamptz(3) not null default now()
);

-- down
drop table secret, api_key_group_member, api_key_group, api_key;
