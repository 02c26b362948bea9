// For `node --import`: the program believes that it commits, and does not. A fault test whose verifier does not turn
// red with this beside it would not see lost work either.
import pg from 'pg';

const query = pg.Client.prototype.query;

pg.Client.prototype.query = function skipCommit(statement, ...rest) {
  if (typeof statement === 'string' && /^\s*commit\b/i.test(statement)) {
    return query.call(this, 'rollback', ...rest);
  }
  if (typeof statement?.text === 'string' && /^\s*commit\b/i.test(statement.text)) {
    return query.call(this, { ...statement, text: 'rollback' }, ...rest);
  }
  return query.call(this, statement, ...rest);
};
