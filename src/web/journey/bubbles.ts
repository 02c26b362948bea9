import type { LinkedMessage } from './link.ts';

/** A message that was written here and is not known to be stored. */
export interface Draft {
  id: string;
  text: string;
  sentAt: string;
  /** Why it was not taken; undefined while it is on its way. */
  failure?: string;
}

const clock = new Intl.DateTimeFormat(undefined, { hour: '2-digit', minute: '2-digit' });
const fullDay = new Intl.DateTimeFormat(undefined, { weekday: 'long', day: 'numeric', month: 'long', year: 'numeric' });

/** The day of an instant where its reader is. */
export function dayOf(sentAt: string): string {
  return new Date(sentAt).toDateString();
}

/** The line above the messages of a day. */
export function daySeparator(sentAt: string): HTMLElement {
  const today = new Date();
  const yesterday = new Date(today);
  yesterday.setDate(today.getDate() - 1);
  const day = dayOf(sentAt);
  const words =
    day === today.toDateString()
      ? 'Today'
      : day === yesterday.toDateString()
        ? 'Yesterday'
        : fullDay.format(new Date(sentAt));
  return element('li', 'day', element('span', '', words));
}

/** A stored message. @param from who wrote it, for those who do not see on which side it stands */
export function bubble(message: LinkedMessage, from: string): HTMLElement {
  const words = message.text ?? placeholder(message.raw);
  const body = element('p', message.text === null ? 'body placeholder' : 'body', words);
  return element(
    'li',
    message.fromContact ? 'message own' : 'message',
    element('span', 'unseen', `${message.fromContact ? 'You' : from}: `),
    body,
    element('p', 'below', timeOf(message.sentAt)),
  );
}

/** A message on its way, or one that was not taken: then with what to do about it. */
export function draftBubble(draft: Draft, retry: () => void): HTMLElement {
  const below = element('p', 'below', draft.failure ?? 'Sending…');
  if (draft.failure !== undefined) {
    const again = element('button', 'again', 'Try again');
    again.setAttribute('type', 'button');
    again.addEventListener('click', retry);
    below.append(' ', again);
  }
  return element(
    'li',
    draft.failure === undefined ? 'message own pending' : 'message own failed',
    element('span', 'unseen', 'You: '),
    element('p', 'body', draft.text),
    below,
  );
}

function timeOf(sentAt: string): HTMLElement {
  const at = new Date(sentAt);
  const time = element('time', '', clock.format(at));
  time.setAttribute('datetime', sentAt);
  time.title = at.toLocaleString();
  return time;
}

// Nothing of it is loaded: what lies elsewhere would tell its owner who reads here.
function placeholder(raw: unknown): string {
  const { type, mimeType, url, name, latitude } = (typeof raw === 'object' && raw !== null ? raw : {}) as Record<
    string,
    unknown
  >;
  if (typeof latitude === 'number') return '[location]';
  const kind = /^(image|video|audio)/.exec(typeof mimeType === 'string' ? mimeType : String(type ?? ''))?.[1];
  if (kind) return `[${kind}]`;
  if (typeof url === 'string') return typeof name === 'string' ? `[file: ${name.slice(0, 80)}]` : '[file]';
  return '[message that cannot be shown here]';
}

// Children that are texts stay texts: nothing that somebody wrote is read as HTML.
function element(tag: string, className: string, ...children: (string | Node)[]): HTMLElement {
  const made = document.createElement(tag);
  if (className) made.className = className;
  made.append(...children);
  return made;
}
