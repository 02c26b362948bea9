import type { GraphiQLProps } from 'graphiql';
import { getOperationAST, type OperationDefinitionNode, parse } from 'graphql';
import { createClient, type ExecutionResult } from 'graphql-ws';
import { type GraphqlAnswer, graphqlPath, postGraphql } from './session.ts';

type Fetcher = GraphiQLProps['fetcher'];
type Request = Parameters<Fetcher>[0];

/**
 * How GraphiQL reaches the API: queries and mutations over HTTP, subscriptions over graphql-ws on the same path.
 *
 * An `Authorization` typed into the headers editor wins; without one the token of the login is sent, so that an emptied
 * editor, a tab from the history and the schema's first load act as the person the bar names.
 *
 * @param onRefused called when the server takes the token for none of its own: expired or withdrawn
 */
export function createFetcher(token: string | undefined, onRefused: () => void): Fetcher {
  return (request, options) => {
    const headers = { ...options?.headers } as Record<string, string>;
    const typedName = Object.keys(headers).find((name) => name.toLowerCase() === 'authorization');
    if (!typedName && token) headers.Authorization = `Bearer ${token}`;
    const authorization = headers[typedName ?? 'Authorization'];
    // A token of another origin, typed by hand, says nothing about the login.
    const refused = authorization === `Bearer ${token}` ? onRefused : () => {};

    const operation = operationOf(request);
    const sent = { ...request, operationName: operation?.name?.value ?? request.operationName };
    if (operation?.operation === 'subscription') return subscription(sent, authorization, refused);
    return post(sent, headers, refused);
  };
}

async function post(request: Request, headers: Record<string, string>, onRefused: () => void) {
  const answer: GraphqlAnswer = await postGraphql(request, headers);
  if (answer.errors?.some(({ extensions }) => extensions?.code === 'UNAUTHENTICATED')) onRefused();
  return answer as ExecutionResult;
}

// For a moment after another tab was chosen, GraphiQL still names the operation of the tab before.
function operationOf({ query, operationName }: Request): OperationDefinitionNode | undefined {
  try {
    const document = parse(query);
    return getOperationAST(document, operationName) ?? getOperationAST(document) ?? undefined;
  } catch {
    // Let the server say what is wrong with it.
    return undefined;
  }
}

interface Sink {
  next(result: ExecutionResult): void;
  error(error: unknown): void;
  complete(): void;
}

// An observable, not an async generator: the return() of a generator waits for the event that it is waiting for, so the
// stop button would leave the socket open until something happens.
function subscription(request: Request, authorization: string | undefined, onRefused: () => void) {
  const observable = {
    subscribe(sink: Sink) {
      // A socket for each subscription, and no reconnecting: what happens while it is away would be missing without a word.
      const client = createClient({
        url: `${location.protocol === 'https:' ? 'wss' : 'ws'}://${location.host}${graphqlPath}`,
        connectionParams: authorization ? { authorization } : {},
        retryAttempts: 0,
      });
      const { query, operationName, variables } = request;
      const end = client.subscribe(
        { query, operationName, variables },
        {
          next: (result) => sink.next(result as ExecutionResult),
          error(error) {
            if (error instanceof CloseEvent && (error.code === 4401 || error.code === 4403)) onRefused();
            sink.error(readable(error));
          },
          complete: () => sink.complete(),
        },
      );
      return {
        unsubscribe() {
          end();
          void client.dispose();
        },
      };
    },
  };
  // GraphiQL's type asks for two older forms of subscribe too; it calls this one only.
  return observable as unknown as ReturnType<Fetcher>;
}

function readable(error: unknown): unknown {
  if (error instanceof CloseEvent) {
    const reason = error.reason ? `: ${error.reason}` : '';
    return new Error(`The server closed the socket (${error.code}${reason}). Run the subscription again.`);
  }
  if (error instanceof Event) return new Error('The socket could not be opened. Is the server running?');
  return error;
}
