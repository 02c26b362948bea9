import './page.css';
import { bubble, type Draft, dayOf, daySeparator, draftBubble } from './bubbles.ts';
import { Link, type LinkedConversation, type LinkedMessage, LinkOver, type MessagePage, Refused } from './link.ts';

const firstRetryMs = 1_000;
const longestRetryMs = 15_000;
/** Who is nearer to the end than this reads the newest messages. */
const nearEndPx = 80;

const find = <Kind extends HTMLElement = HTMLElement>(id: string): Kind => document.querySelector<Kind>(`#${id}`)!;
const list = find('messages');
const scroll = find('scroll');
const state = find('state');
const text = find<HTMLTextAreaElement>('text');
const earlier = find<HTMLButtonElement>('earlier');
const newer = find('newer');

const link = new Link(location.pathname.split('/').at(-1) ?? '');
const messages: LinkedMessage[] = [];
const drafts: Draft[] = [];
/** By message id, draft id or day: what stands in the list is moved, never made again. */
const drawn = new Map<string, HTMLElement>();
let channelName = '';
let before: string | null = null;
let isOver = false;

void start();

async function start(): Promise<void> {
  for (let waitMs = firstRetryMs; ; waitMs = Math.min(waitMs * 2, longestRetryMs)) {
    try {
      const conversation = await link.load();
      show(conversation);
      return void link.listen(conversation.cursor, {
        live: (isLive) => {
          if (!isOver) tell(isLive ? '' : 'Reconnecting…');
        },
        message: add,
        reset: () => void reload(),
        over: end,
      });
    } catch (error) {
      if (error instanceof LinkOver) return end();
      tell('No connection, trying again…');
      await new Promise((resolve) => setTimeout(resolve, waitMs));
    }
  }
}

function show(conversation: LinkedConversation): void {
  channelName = conversation.channelName;
  document.title = channelName;
  find('channel').textContent = channelName;
  find('mark').textContent = [...channelName.trim()][0]?.toUpperCase() ?? '';
  const greeting = conversation.contactName ? `Conversation with ${conversation.contactName}` : 'Your conversation';
  find('note').textContent = conversation.isOpen ? greeting : `${greeting} · finished, you can still write`;
  find('conversation').hidden = false;
  const { messages: page } = conversation;
  messages.splice(0, messages.length, ...page.nodes);
  turnTo(page);
  draw();
  // From now on: the messages of the past are not read out.
  list.setAttribute('aria-live', 'polite');
  toEnd();
}

async function reload(): Promise<void> {
  try {
    show(await link.load());
  } catch (error) {
    if (error instanceof LinkOver) end();
    else setTimeout(() => void reload(), longestRetryMs);
  }
}

function turnTo({ pageInfo }: MessagePage): void {
  before = pageInfo.startCursor;
  earlier.hidden = !pageInfo.hasPreviousPage;
}

function add(message: LinkedMessage): void {
  if (messages.some(({ id }) => id === message.id)) return;
  // What was sent here is told by the stream too, mostly before its answer comes.
  const draft = message.fromContact ? drafts.findIndex((one) => one.text === message.text) : -1;
  if (draft >= 0) drafts.splice(draft, 1);
  const at = messages.findLastIndex(({ sentAt }) => sentAt <= message.sentAt) + 1;
  messages.splice(at, 0, message);
  const isFollowed = message.fromContact || isNearEnd();
  draw();
  if (isFollowed) toEnd();
  else newer.hidden = false;
}

function draw(): void {
  const wanted: HTMLElement[] = [];
  const kept = new Set<string>();
  const place = (key: string, make: () => HTMLElement) => {
    const element = drawn.get(key) ?? make();
    drawn.set(key, element);
    kept.add(key);
    wanted.push(element);
  };
  let day = '';
  for (const message of messages) {
    if (dayOf(message.sentAt) !== day) {
      day = dayOf(message.sentAt);
      place(`day ${day}`, () => daySeparator(message.sentAt));
    }
    place(message.id, () => bubble(message, channelName));
  }
  for (const draft of drafts) {
    place(`draft ${draft.id} ${draft.failure ?? ''}`, () => draftBubble(draft, () => void send(draft)));
  }
  for (const key of drawn.keys()) if (!kept.has(key)) drawn.delete(key);

  let next = list.firstChild;
  for (const element of wanted) {
    if (element === next) next = next.nextSibling;
    else list.insertBefore(element, next);
  }
  while (next) {
    const after: ChildNode | null = next.nextSibling;
    next.remove();
    next = after;
  }
  find('empty').hidden = wanted.length > 0;
}

async function send(draft: Draft): Promise<void> {
  draft.failure = undefined;
  draw();
  toEnd();
  try {
    const message = await link.send({ id: draft.id, text: draft.text });
    const index = drafts.indexOf(draft);
    if (index >= 0) drafts.splice(index, 1);
    add(message);
    draw();
  } catch (error) {
    if (error instanceof LinkOver) return end();
    // The stream told meanwhile that it is stored.
    if (!drafts.includes(draft)) return;
    draft.failure = failureOf(error);
    draw();
    toEnd();
  }
}

function failureOf(error: unknown): string {
  if (!(error instanceof Refused)) return 'Not sent: no connection.';
  if (error.code === 'RATE_LIMITED') {
    return `Not sent: too many messages, wait ${Math.ceil((error.retryAfterMs ?? 1_000) / 1_000)} s.`;
  }
  return error.code === 'FORBIDDEN' ? 'Not sent: this conversation is closed.' : 'Not sent.';
}

function end(): void {
  isOver = true;
  tell('');
  find('conversation').hidden = true;
  find('over').hidden = false;
  find('over-title').textContent = messages.length > 0 ? 'This link is over' : 'This link does not open anything';
  find('over-text').textContent =
    'It may have ended, or a part of its address is missing. Ask whoever sent it to you for a new one.';
  if (messages.length === 0) document.title = 'Link not found';
}

function tell(words: string): void {
  if (state.textContent !== words) state.textContent = words;
}

function isNearEnd(): boolean {
  return scroll.scrollHeight - scroll.scrollTop - scroll.clientHeight < nearEndPx;
}

function toEnd(): void {
  scroll.scrollTop = scroll.scrollHeight;
  newer.hidden = true;
}

function fitText(): void {
  text.style.height = 'auto';
  text.style.height = `${text.scrollHeight}px`;
}

text.addEventListener('input', fitText);
text.addEventListener('keydown', (event) => {
  if (event.key !== 'Enter' || event.shiftKey || event.isComposing) return;
  event.preventDefault();
  find<HTMLFormElement>('write').requestSubmit();
});
find('write').addEventListener('submit', (event) => {
  event.preventDefault();
  const words = text.value.trim();
  if (words === '') return;
  text.value = '';
  fitText();
  text.focus();
  const draft = { id: newUuid(), text: words, sentAt: new Date().toISOString() };
  drafts.push(draft);
  void send(draft);
});
newer.addEventListener('click', toEnd);
scroll.addEventListener('scroll', () => {
  if (isNearEnd()) newer.hidden = true;
});
addEventListener('resize', () => {
  if (document.activeElement === text) toEnd();
});
earlier.addEventListener('click', async () => {
  if (before === null) return;
  earlier.disabled = true;
  try {
    const page = await link.loadBefore(before);
    const fromEnd = scroll.scrollHeight - scroll.scrollTop;
    const known = new Set(messages.map(({ id }) => id));
    messages.unshift(...page.nodes.filter(({ id }) => !known.has(id)));
    turnTo(page);
    list.setAttribute('aria-live', 'off');
    draw();
    list.setAttribute('aria-live', 'polite');
    // What was read stays where it is.
    scroll.scrollTop = scroll.scrollHeight - fromEnd;
  } catch (error) {
    if (error instanceof LinkOver) end();
    else tell('Earlier messages could not be read, try again.');
  } finally {
    earlier.disabled = false;
  }
});

// `crypto.randomUUID` is there on https and loopback only.
function newUuid(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  bytes[6] = (bytes[6]! & 0x0f) | 0x40;
  bytes[8] = (bytes[8]! & 0x3f) | 0x80;
  const hex = [...bytes].map((byte) => byte.toString(16).padStart(2, '0')).join('');
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
}
