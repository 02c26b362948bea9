import type { Ctx, Principal } from '../domain/context.ts';
import type { LoggedEvent } from '../domain/events.ts';

/** What a subscription's resolver gets as root: an event that is for it, or the word that it must begin again. */
export type LivePayload =
  | { kind: 'event'; cursor: string; at: Date; event: LoggedEvent }
  | { kind: 'reset'; cursor: string; at: Date; reason: string };

/** One subscription field, as `live.ts` runs it. `args` are the field's coerced arguments without `after`. */
export interface LiveField {
  /** Rights and arguments, once, before anything is heard. @throws DomainError */
  open(ctx: Ctx, args: Record<string, unknown>): Promise<void>;
  /** Whether an event is for subscribers with these arguments; asked once per event and group. */
  wants(ctx: Ctx, event: LoggedEvent, args: Record<string, unknown>): Promise<boolean>;
  /** The one conversation that these subscribers hear of, once they may; then ten thousand open ones cost an event nothing. */
  conversationId?(args: Record<string, unknown>, principal: Principal): string;
}

/** The subscription fields by name; each subject's resolvers register theirs. */
export const liveFields = new Map<string, LiveField>();
