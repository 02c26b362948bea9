import { Arg, Args, Ctx, Mutation, Query, Resolver } from 'type-graphql';
import { acceptInvitation, inviteUser } from '../../../domain/accounts/users/invitation.service.ts';
import {
  listUsers,
  setUserActive,
  setUserRole,
  userCursor,
} from '../../../domain/accounts/users/user.admin.service.ts';
import { PageArgs, toConnection } from '../../connection.ts';
import type { GraphCtx } from '../../context.ts';
import { uuidOf } from '../../ids.ts';
import { SessionPayload } from './user.type.ts';
import {
  AcceptInvitationInput,
  InviteUserInput,
  InviteUserPayload,
  SetUserActiveInput,
  SetUserRoleInput,
  UserConnection,
  UserPayload,
} from './user-admin.type.ts';

@Resolver()
export class UserAdminResolver {
  @Query(() => UserConnection, { description: 'People who may sign in, the oldest account first.' })
  async users(@Ctx() ctx: GraphCtx, @Args(() => PageArgs) args: PageArgs) {
    const page = await listUsers(ctx, args);
    return toConnection(page, userCursor, { total: page.total });
  }

  @Mutation(() => InviteUserPayload, {
    description:
      'Mails an invitation that works once, within 7 days; the person becomes AGENT unless a role is given. CONFLICT when the address has an account.',
  })
  async inviteUser(@Ctx() ctx: GraphCtx, @Arg('input', () => InviteUserInput) input: InviteUserInput) {
    return { invitationId: await inviteUser(ctx, input) };
  }

  @Mutation(() => SessionPayload, { description: 'Makes the account of an invitation and signs it in.' })
  acceptInvitation(@Ctx() ctx: GraphCtx, @Arg('input', () => AcceptInvitationInput) input: AcceptInvitationInput) {
    return acceptInvitation(ctx, input);
  }

  @Mutation(() => UserPayload, {
    description: 'Changes what a person may do; their tokens end. NOT_FOUND, CONFLICT for the last administrator.',
  })
  setUserRole(@Ctx() ctx: GraphCtx, @Arg('input', () => SetUserRoleInput) { userId, role }: SetUserRoleInput) {
    return setUserRole(ctx, { userId: uuidOf('User', userId, 'userId'), role });
  }

  @Mutation(() => UserPayload, {
    description:
      'Shuts a person out, or lets them in again; their tokens end. NOT_FOUND, CONFLICT for the last administrator.',
  })
  setUserActive(@Ctx() ctx: GraphCtx, @Arg('input', () => SetUserActiveInput) { userId, active }: SetUserActiveInput) {
    return setUserActive(ctx, { userId: uuidOf('User', userId, 'userId'), active });
  }
}
