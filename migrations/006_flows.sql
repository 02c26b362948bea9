-- Flows and the journeys through them. Times are the database's own: timers are judged by the clock of the lanes.

create table flow (
  id uuid primary key,
  name text not null,
  draft jsonb not null,                      -- the definition that is being worked on
  published_number int,                      -- the version that new journeys take
  created_at timestamptz(3) not null default now(),
  updated_at timestamptz(3) not null default now()
);

create table flow_version (
  flow_id uuid not null references flow (id),
  number int not null,
  definition jsonb not null,                 -- never changes: a journey keeps its version
  published_by uuid,
  published_at timestamptz(3) not null default now(),
  primary key (flow_id, number)
);

create table journey (
  id uuid primary key,
  flow_id uuid not null,
  flow_number int not null,
  status text not null default 'ACTIVE' check (status in ('ACTIVE', 'COMPLETED', 'ABORTED', 'REPLACED', 'FAILED')),
  reason text,                               -- why it failed, or what its end step said
  step_id text not null,                     -- the step that runs next, waits, or was the last one
  waiting jsonb,                             -- what the step waits for; null: it runs
  wake_at timestamptz,                       -- when the wait ends by itself
  vars jsonb not null default '{}',
  start jsonb not null default '{}',
  event jsonb,                               -- the payload of the last event taken
  steps jsonb not null default '{}',         -- what steps came to, by their ids
  steps_run int not null default 0,          -- since the last wait
  looked_at int not null default 0,          -- events up to here are none that the present wait is for
  next_event int not null default 1,
  contact_id uuid,
  conversation_id uuid,
  replaced_by uuid,
  link_hash text not null unique,            -- SHA-256 of the token in the address of its page
  version int not null default 1,            -- raised by each change of the row's course
  started_at timestamptz(3) not null default now(),
  updated_at timestamptz(3) not null default now(),
  ended_at timestamptz(3),
  foreign key (flow_id, flow_number) references flow_version (flow_id, number)
) with (fillfactor = 80);
create index journey_flow on journey (flow_id, id desc);
create index journey_flow_status on journey (flow_id, status, id desc);
create index journey_status on journey (status, id desc);
-- What an ingest asks: a conversation may have had many.
create index journey_conversation on journey (conversation_id) where status = 'ACTIVE' and conversation_id is not null;

create table journey_identifier (
  journey_id uuid not null references journey (id) on delete cascade,
  flow_id uuid not null,
  type text not null check (type in ('TEXT', 'PHONE', 'JOURNEY_ID')),
  value text not null,
  active boolean not null default true,
  primary key (journey_id, type, value)
);
create index journey_identifier_match on journey_identifier (flow_id, type, value, journey_id desc) where active;
create index journey_identifier_value on journey_identifier (flow_id, type, value);

create table journey_event (
  journey_id uuid not null references journey (id) on delete cascade,
  seq int not null,                          -- drawn under the journey's row lock
  name text not null,
  payload jsonb not null,
  dedupe_key text,
  created_at timestamptz(3) not null default now(),
  consumed_at timestamptz(3),
  primary key (journey_id, seq)
);
create unique index journey_event_dedupe on journey_event (journey_id, dedupe_key) where dedupe_key is not null;
create index journey_event_open on journey_event (journey_id, seq) where consumed_at is null;
create index journey_event_age on journey_event (consumed_at) where consumed_at is not null;

-- How many listeners want to hear of a conversation's messages in the transaction that stores them; an ingest asks
-- them only then.
alter table conversation add column listeners int not null default 0;

-- down
alter table conversation drop column listeners;
drop table journey_event, journey_identifier, journey, flow_version, flow;
