import { type FormEvent, useState } from 'react';
import favicon from './favicon.svg';
import { logIn, type Session, signUp } from './session.ts';

interface AccountBarProps {
  session: Session | null;
  /** The server no longer takes the session's token. */
  isRefused: boolean;
  onChange(session: Session | null): void;
}

/** The top of the page: whose page it is, and who is signed in or the form to become so. */
export function AccountBar({ session, isRefused, onChange }: AccountBarProps) {
  return (
    <header className="bar">
      <h1>
        <img src={favicon} alt="" width="28" height="28" />
        Parley <span>GraphQL IDE</span>
      </h1>
      {session ? (
        <div className="account">
          {isRefused && <p role="alert">The server no longer takes this login. Log out, then log in again.</p>}
          <p>
            Signed in as <strong>{session.email}</strong> {session.role && <span className="role">{session.role}</span>}
          </p>
          <button type="button" onClick={() => onChange(null)}>
            Log out
          </button>
        </div>
      ) : (
        <AccountForm onDone={onChange} />
      )}
    </header>
  );
}

function AccountForm({ onDone }: { onDone(session: Session): void }) {
  const [mode, setMode] = useState<'log in' | 'sign up'>('log in');
  const [fault, setFault] = useState('');
  const [isWaiting, setWaiting] = useState(false);
  const isNew = mode === 'sign up';

  async function submit(event: FormEvent<HTMLFormElement>) {
    event.preventDefault();
    const values = new FormData(event.currentTarget);
    const field = (name: string) => String(values.get(name) ?? '');
    const credentials = { email: field('email').trim(), password: field('password') };
    setFault('');
    setWaiting(true);
    try {
      onDone(
        isNew
          ? await signUp({ ...credentials, firstName: field('firstName').trim(), lastName: field('lastName').trim() })
          : await logIn(credentials),
      );
    } catch (error) {
      setFault(error instanceof Error ? error.message : String(error));
      setWaiting(false);
    }
  }

  function choose(next: typeof mode) {
    setMode(next);
    setFault('');
  }

  return (
    <div className="account">
      <fieldset className="modes">
        <legend>What to do</legend>
        <button type="button" aria-pressed={!isNew} onClick={() => choose('log in')}>
          Log in
        </button>
        <button type="button" aria-pressed={isNew} onClick={() => choose('sign up')}>
          Sign up
        </button>
      </fieldset>
      <form onSubmit={submit} aria-label={isNew ? 'Sign up' : 'Log in'}>
        {isNew && (
          <>
            <Field label="First name" name="firstName" autoComplete="given-name" />
            <Field label="Last name" name="lastName" autoComplete="family-name" />
          </>
        )}
        <Field label="E-mail" name="email" type="email" autoComplete="username" />
        <Field
          label="Password"
          name="password"
          type="password"
          autoComplete={isNew ? 'new-password' : 'current-password'}
        />
        <button type="submit" className="main-action" disabled={isWaiting}>
          {isNew ? 'Sign up' : 'Log in'}
        </button>
      </form>
      {fault && <p role="alert">{fault}</p>}
    </div>
  );
}

interface FieldProps {
  label: string;
  name: string;
  type?: 'text' | 'email' | 'password';
  autoComplete: string;
}

function Field({ label, ...input }: FieldProps) {
  return (
    <label>
      <span>{label}</span>
      <input required {...input} />
    </label>
  );
}
