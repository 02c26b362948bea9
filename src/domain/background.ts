import type { Ctx } from './context.ts';
import { Unavailable } from './errors.ts';

/** Works under way at once; more is a flood. */
const most = 100;

/** @throws Unavailable so much goes on behind answers that no more is begun */
export function needBackground({ core }: Ctx): void {
  if (core.background.size >= most) throw new Unavailable();
}

/** Goes on after the answer; the stop waits for it. @param failed what the log says when it fails */
export function inBackground(
  { core, requestId }: Pick<Ctx, 'core'> & Partial<Pick<Ctx, 'requestId'>>,
  work: Promise<unknown>,
  failed: string,
): void {
  const kept = work
    .catch((error: unknown) => core.log.error({ err: error, requestId }, failed))
    .finally(() => core.background.delete(kept));
  core.background.add(kept);
}
