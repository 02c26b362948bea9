import { type Caller, type Core, type Ctx, RequestCtx } from '../domain/context.ts';
import { RequestReads } from '../domain/request-reads.ts';
import { createLoaders, type Loaders } from './loaders.ts';

/** What resolvers get: the domain's context and the loaders of this one execution. */
export interface GraphCtx extends Ctx {
  readonly loaders: Loaders;
}

class GraphRequestCtx extends RequestCtx implements GraphCtx {
  #loaders: Loaders | undefined;
  readonly reads = new RequestReads();

  get loaders(): Loaders {
    this.#loaders ??= createLoaders(this);
    return this.#loaders;
  }
}

export function createGraphCtx(core: Core, caller: Caller): GraphCtx {
  return new GraphRequestCtx(core, caller);
}
