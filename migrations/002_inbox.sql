-- What clients of later versions keep beside conversations: more of a contact, templates, invitations, and a count of
-- who still makes which legacy call.

alter table contact
  add column title text,
  add column gender text,
  add column timezone int,
  add column locale text,
  add column organization_name text,
  add column via jsonb not null default '{}',
  add column address jsonb not null default '{}';

insert into counter (name, slot, value) select 'contacts', 0, count(*) from contact;

create table message_template (
  id uuid primary key,
  source_id text not null,                   -- the name of the source: vendors' have no row
  name text not null,
  content jsonb not null,
  created_at timestamptz(3) not null default now()
);
create index message_template_source on message_template (source_id, name, id);

create table invitation (
  id_hash text primary key,                  -- SHA-256 of the id in the mail
  email text not null,
  email_key text not null unique,            -- a newer one voids the older
  role text not null check (role in ('ADMIN', 'AGENT')),
  invited_by uuid not null references user_account (id),
  expires_at timestamptz(3) not null,
  created_at timestamptz(3) not null default now()
);
create index invitation_age on invitation (expires_at);

create table legacy_call (
  row_name text not null,
  field text not null,                       -- the root field that it runs
  caller text not null,                      -- `user <id>`, `source <name>` or `anonymous`
  day date not null,
  calls bigint not null,
  last_at timestamptz(3) not null,
  primary key (day, row_name, caller)
);

-- down
drop table legacy_call, invitation, message_template;
delete from counter where name = 'contacts';
alter table contact drop column title, drop column gender, drop column timezone, drop column locale,
  drop column organization_name, drop column via, drop column address;
