-- What the filters of lists look words up with. Both are trusted: whoever may create in the database may create them.

create extension if not exists pg_trgm;
create extension if not exists fuzzystrmatch;

-- down
drop extension if exists fuzzystrmatch;
drop extension if exists pg_trgm;
