import { type Core, type Ctx, createCtx, type Principal } from '../domain/context.ts';
import { createLoaders, type Loaders } from './loaders.ts';

/** What resolvers get: the domain's context and the loaders of this one execution. */
export interface GraphCtx extends Ctx {
  loaders: Loaders;
}

export function createGraphCtx(
  core: Core,
  caller: { principal: Principal; requestId: string; address: string },
): GraphCtx {
  const ctx = createCtx(core, caller);
  return { ...ctx, loaders: createLoaders(ctx) };
}
