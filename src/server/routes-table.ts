/** Who may call a route of the server itself. What an operation inside `/graphql` needs is the services' to say. */
export type Audience =
  /** Anybody, with or without a token. */
  | 'everyone'
  /** Whose token is valid and may ask something here: users and sources. */
  | 'token'
  /** Whoever asks on the machine itself, and administrators. */
  | 'observer';

export interface ServerRoute {
  path: string;
  method: 'GET' | 'POST' | 'WEBSOCKET';
  audience: Audience;
  /** A worker that listens has it too. */
  isOfWorkers?: true;
}

/** The routes that are no row of a contract; a test walks them together with the rows and the schema. */
export const serverRoutes: readonly ServerRoute[] = [
  { path: '/graphql', method: 'POST', audience: 'everyone' },
  { path: '/graphql', method: 'GET', audience: 'everyone' },
  { path: '/graphql', method: 'WEBSOCKET', audience: 'token' },
  { path: '/health/live', method: 'GET', audience: 'everyone', isOfWorkers: true },
  { path: '/health/ready', method: 'GET', audience: 'everyone', isOfWorkers: true },
  { path: '/metrics', method: 'GET', audience: 'observer', isOfWorkers: true },
  { path: '/', method: 'GET', audience: 'everyone' },
  { path: '/graphiql', method: 'GET', audience: 'everyone' },
  { path: '/docs', method: 'GET', audience: 'everyone' },
  { path: '/openapi.json', method: 'GET', audience: 'everyone' },
  { path: '/j/:token', method: 'GET', audience: 'everyone' },
  { path: '/assets/*', method: 'GET', audience: 'everyone' },
];
