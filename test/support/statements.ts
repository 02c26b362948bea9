import pg from 'pg';

/** What the service does by itself, looking for events and lanes; and what it knows for a second: whether a token holds, sources, users. */
const background =
  /\b(event|event_log|lane)\b|pg_notify|^listen|token_version from user_account|from "(?:source|user_account)" as "\w0" where "\w0"."id" in/i;

/**
 * The SQL that the service sends while `work` runs, without what it does beside it. One at a time: all
 * connections of this process are heard.
 */
export async function statementsOf<T>(work: () => Promise<T>): Promise<{ result: T; statements: string[] }> {
  const { submit } = pg.Query.prototype;
  const statements: string[] = [];
  pg.Query.prototype.submit = function (this: { text?: string }, ...given: Parameters<typeof submit>) {
    if (this.text && !background.test(this.text)) statements.push(this.text.replace(/\s+/g, ' ').trim());
    return Reflect.apply(submit, this, given);
  };
  try {
    return { result: await work(), statements };
  } finally {
    pg.Query.prototype.submit = submit;
  }
}
