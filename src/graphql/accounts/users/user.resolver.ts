import { Arg, Ctx, Mutation, Query, Resolver } from 'type-graphql';
import { requestPasswordReset, resetPassword } from '../../../domain/accounts/users/password-reset.service.ts';
import { getViewer, logIn, signUp } from '../../../domain/accounts/users/user.service.ts';
import type { GraphCtx } from '../../context.ts';
import {
  DonePayload,
  LogInInput,
  RequestPasswordResetInput,
  ResetPasswordInput,
  SessionPayload,
  SignUpInput,
  UserType,
} from './user.type.ts';

@Resolver()
export class UserResolver {
  @Query(() => UserType, { description: 'Who is signed in.' })
  viewer(@Ctx() ctx: GraphCtx) {
    return getViewer(ctx);
  }

  @Mutation(() => SessionPayload, { description: 'Makes an account and signs it in. The first one is ADMIN.' })
  signUp(@Ctx() ctx: GraphCtx, @Arg('input', () => SignUpInput) input: SignUpInput) {
    return signUp(ctx, input);
  }

  @Mutation(() => SessionPayload, {
    description:
      'Signs in with e-mail address and password. UNAUTHENTICATED, without saying which of the two was wrong.',
  })
  logIn(@Ctx() ctx: GraphCtx, @Arg('input', () => LogInInput) input: LogInInput) {
    return logIn(ctx, input);
  }

  @Mutation(() => DonePayload, {
    description: 'Mails a single-use token. The same answer whether there is such an account.',
  })
  async requestPasswordReset(
    @Ctx() ctx: GraphCtx,
    @Arg('input', () => RequestPasswordResetInput) input: RequestPasswordResetInput,
  ) {
    await requestPasswordReset(ctx, input);
    return { done: true };
  }

  @Mutation(() => DonePayload, {
    description: 'Sets a new password with a mailed token; all older tokens of the person end.',
  })
  async resetPassword(@Ctx() ctx: GraphCtx, @Arg('input', () => ResetPasswordInput) input: ResetPasswordInput) {
    await resetPassword(ctx, input);
    return { done: true };
  }
}
