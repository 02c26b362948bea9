import { GraphiQL } from 'graphiql';
import { useCallback, useMemo, useState } from 'react';
import { AccountBar } from './account-bar.tsx';
import { editorStorage } from './editor-storage.ts';
import { examples } from './examples.ts';
import { createFetcher } from './fetcher.ts';
import { keepSession, keptSession, type Session } from './session.ts';

/** The GraphQL IDE under a bar that says who asks. */
export function Page() {
  const [session, setSession] = useState<Session | null>(keptSession);
  const [isRefused, setRefused] = useState(false);

  const changeSession = useCallback((next: Session | null) => {
    keepSession(next);
    setRefused(false);
    setSession(next);
  }, []);
  const fetcher = useMemo(() => createFetcher(session?.token, () => setRefused(true)), [session]);

  return (
    <>
      <AccountBar session={session} isRefused={isRefused && session !== null} onChange={changeSession} />
      <main aria-label="GraphQL IDE">
        {/* A new editor for each login: it reads the schema again as that person, fills the headers and drops the answers
            that the person before got. Tabs and history stay, they are in the storage. */}
        <GraphiQL
          key={session?.token ?? 'nobody'}
          fetcher={fetcher}
          storage={editorStorage}
          defaultTabs={examples}
          defaultHeaders={session ? JSON.stringify({ Authorization: `Bearer ${session.token}` }, null, 2) : undefined}
          defaultEditorToolsVisibility={session ? 'headers' : undefined}
          shouldPersistHeaders={false}
          showPersistHeadersSettings={false}
        >
          <GraphiQL.Logo>{null}</GraphiQL.Logo>
        </GraphiQL>
      </main>
    </>
  );
}
