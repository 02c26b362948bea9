-- Lists that stay fast: the order of the inbox in a narrow table of its own, what filters look up in indexes, and totals.

drop index conversation_recency;

-- The place of each conversation in the inbox. A message of a conversation moves it here; its own row, whose indexes are
-- many, is updated in place. Rows are found by the place they had, so that one index serves both. Written with the
-- conversation, under its lock: last_message_at and unread_count are always those of its row.
create table conversation_recency (
  last_message_at timestamptz(3) not null,
  conversation_id uuid not null,
  unread_count int not null
) with (fillfactor = 90, autovacuum_vacuum_scale_factor = 0.05);
insert into conversation_recency (last_message_at, conversation_id, unread_count)
  select last_message_at, id, unread_count from conversation;
create unique index conversation_recency_place on conversation_recency (last_message_at desc, conversation_id desc);
create index conversation_recency_unread on conversation_recency (last_message_at desc, conversation_id desc)
  where unread_count > 0;

drop index conversation_contact;
-- Without the order: the time of the last message would have to be written here with each message.
create index conversation_contact on conversation (contact_id);
create index conversation_created on conversation (created_at);
create index conversation_state on conversation (state) where state <> 'OPEN';
create index conversation_assignee on conversation (assignee_id) where assignee_id is not null;

-- The words of a text, in lower case with a blank around each: what `like '% word %'` and trigrams look through. As
-- `wordsOf` in filter-words.ts makes them.
create function parley_words(subject text) returns text language sql immutable strict parallel safe
  return ' ' || translate(lower(btrim(regexp_replace(normalize(subject, NFKC) collate pg_unicode_fast,
    '[^[:alnum:]]+', ' ', 'g'))), 'ς', 'σ') || ' ';

-- The words of all texts, numbers and booleans of a JSON value, the first 1,000 characters of each, each word cut to 64
-- characters; of more than 200 only a word
-- that none of them can be, so that a large value costs little here and is looked at itself.
create function parley_json_words(subject jsonb) returns text[] language sql immutable strict parallel safe
  return (
    select case when count(*) > 200 then array['*'] else coalesce(array_agg(word), '{}') end
    from (
      select distinct left(word, 64) word
      from jsonb_path_query(subject, 'strict $.** ? (@.type() == "string" || @.type() == "number" || @.type() == "boolean")') leaf,
        string_to_table(btrim(parley_words(left(leaf #>> '{}', 1000))), ' ') word
      where word <> '' limit 201) words);

alter table contact add column name_words text generated always as (parley_words(display_name)) stored;
create index contact_name_words on contact using gin (name_words gin_trgm_ops) with (fastupdate = off)
  where name_words is not null;
create index conversation_metadata_words on conversation using gin (parley_json_words(metadata)) with (fastupdate = off)
  where metadata <> '{}';

-- What was said, in whichever texts the content holds, if it is no longer than people write. A short list of what came
-- last, so that nobody waits long while it is sorted in.
create index message_words on message using gin (jsonb_to_tsvector('simple', content, '["string"]'))
  with (gin_pending_list_limit = 256) where length(content::text) <= 4000;

insert into counter (name, slot, value)
  select 'conversations_channel:' || channel_id, 0, count(*) from conversation group by channel_id
  union all
  select 'conversations_source:' || source, 0, count(*) from conversation group by source
  union all
  select 'conversations_state:' || state, 0, count(*) from conversation where state <> 'OPEN' group by state
  union all
  select 'conversations_tag:' || tag_id, 0, count(*) from conversation_tag group by tag_id
  union all
  select 'unread_conversations', 0, count(*) from conversation where unread_count > 0;

-- down
delete from counter where name like 'conversations\_%' or name = 'unread_conversations';
drop index message_words, conversation_metadata_words, contact_name_words;
alter table contact drop column name_words;
drop function parley_json_words(jsonb);
drop function parley_words(text);
drop index conversation_assignee, conversation_state, conversation_created, conversation_contact;
drop table conversation_recency;
create index conversation_recency on conversation (last_message_at desc, id desc);
create index conversation_contact on conversation (contact_id, last_message_at desc, id desc);
