-- What the filters of lists look words up with. Both are trusted: whoever may create in the database may create them.

create extension if not exists pg_trgm;
create extension if not exists fuzzystrmatch;

-- down
-- They stay: others may use them too, and may have made them.
select 1;
