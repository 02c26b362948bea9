import type pg from 'pg';

/** Everything that migrations make, one line each, without numbers that differ from run to run. */
export async function catalogueOf(client: pg.Client): Promise<string[]> {
  const { rows } = await client.query<{ line: string }>(`
    with ours as (select c.* from pg_class c where relnamespace = 'public'::regnamespace)
    select format('%s %s %s', relkind, relname, reloptions) line from ours where relname !~ '^mikro_orm_'
    union all
    select format('%s.%s %s %s %s %s', relname, attname, format_type(atttypid, atttypmod), attnotnull,
      attidentity, pg_get_expr(adbin, adrelid))
    from ours join pg_attribute on attrelid = ours.oid left join pg_attrdef on adrelid = attrelid and adnum = attnum
    where relkind in ('r', 'p') and attnum > 0 and not attisdropped and relname !~ '^mikro_orm_'
    union all
    select indexdef from pg_indexes where schemaname = 'public' and tablename !~ '^mikro_orm_'
    union all
    select format('%s %s', conname, pg_get_constraintdef(oid)) from pg_constraint
    where connamespace = 'public'::regnamespace and conrelid::regclass::text !~ 'mikro_orm_'
    union all
    select 'extension ' || extname from pg_extension
    union all
    select 'function ' || oid::regprocedure::text from pg_proc p where pronamespace = 'public'::regnamespace
      and not exists (select from pg_depend where objid = p.oid and deptype = 'e')
    order by line`);
  return rows.map((row) => row.line);
}
