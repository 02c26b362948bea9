/** Who is signed in on this page, and the token that says so to the server. */
export interface Session {
  token: string;
  email: string;
  /** Unknown right after a sign-up that does not tell it. */
  role?: string;
}

/** What the log-in form holds. */
export interface Credentials {
  email: string;
  password: string;
}

/** What the sign-up form holds. */
export interface NewAccount extends Credentials {
  firstName: string;
  lastName: string;
}

/** Path of the API, for HTTP and sockets alike. */
export const graphqlPath = '/graphql';

// Session storage, never local storage: the token ends with the browser tab and no other page of the origin's future
// finds it.
const storageKey = 'parley.session';

/** The session of this browser tab, or null. */
export function keptSession(): Session | null {
  try {
    const kept: unknown = JSON.parse(sessionStorage.getItem(storageKey) ?? 'null');
    return isSession(kept) ? kept : null;
  } catch {
    return null;
  }
}

/** Keeps the session for reloads of this browser tab; null forgets it. */
export function keepSession(session: Session | null): void {
  if (session) sessionStorage.setItem(storageKey, JSON.stringify(session));
  else sessionStorage.removeItem(storageKey);
}

function isSession(value: unknown): value is Session {
  const { token, email } = (value ?? {}) as Partial<Record<keyof Session, unknown>>;
  return typeof token === 'string' && typeof email === 'string';
}

/** @throws Error whose message is the server's, for the form to show */
export async function logIn(input: Credentials): Promise<Session> {
  const { logIn } = await mutate<{ logIn: { token: string; user: { email: string; role: string } } }>(
    'mutation LogIn($input: LogInInput!) { logIn(input: $input) { token user { email role } } }',
    input,
  );
  return { token: logIn.token, email: logIn.user.email, role: logIn.user.role };
}

/** Signs up and is then signed in. @throws Error whose message is the server's, for the form to show */
export async function signUp(input: NewAccount): Promise<Session> {
  const { signUp } = await mutate<{ signUp: { token: string } }>(
    'mutation SignUp($input: SignUpInput!) { signUp(input: $input) { token } }',
    input,
  );
  return { token: signUp.token, email: input.email };
}

async function mutate<T>(query: string, input: object): Promise<T> {
  const answer = await postGraphql({ query, variables: { input } });
  if (answer.errors?.length) throw new Error(answer.errors.map(({ message }) => message).join(' '));
  return answer.data as T;
}

/** The parts of a GraphQL answer that the page looks at itself. */
export interface GraphqlAnswer {
  data?: unknown;
  errors?: { message: string; extensions?: { code?: string } }[];
}

/**
 * One GraphQL request over HTTP. A GraphQL error is part of the answer.
 *
 * @throws Error when there is no answer, or it is not GraphQL (a proxy's error page)
 */
export async function postGraphql(
  request: { query: string; operationName?: string | null; variables?: unknown },
  headers: Record<string, string> = {},
): Promise<GraphqlAnswer> {
  const response = await fetch(graphqlPath, {
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      accept: 'application/graphql-response+json, application/json;q=0.9',
      ...headers,
    },
    body: JSON.stringify(request),
  }).catch(() => {
    throw new Error('The server did not answer. Is it running?');
  });
  const body: unknown = await response.json().catch(() => null);
  if (typeof body === 'object' && body !== null && ('data' in body || 'errors' in body)) return body as GraphqlAnswer;
  throw new Error(`The server answered ${response.status} ${response.statusText}, which is not a GraphQL answer.`);
}
