import { Arg, Args, Ctx, FieldResolver, ID, Mutation, Query, Resolver, Root } from 'type-graphql';
import { InvalidInput } from '../../../domain/errors.ts';
import {
  type ContactFields,
  createContact,
  deleteContact,
  importContacts,
  updateContact,
} from '../../../domain/messaging/contacts/contact.change.service.ts';
import {
  contactCursor,
  findContact,
  listContacts,
  type ShownContact,
} from '../../../domain/messaging/contacts/contact.service.ts';
import { PageArgs, toConnection } from '../../connection.ts';
import type { GraphCtx } from '../../context.ts';
import { globalId, optionalUuidOf, uuidOf } from '../../ids.ts';
import { isJsonObject } from '../../json-object.ts';
import { DeletePayload } from '../../stored.ts';
import { conversationConnection } from '../conversations/conversation.resolver.ts';
import { ConversationConnection } from '../conversations/conversation.type.ts';
import { ContactType } from './contact.type.ts';
import {
  ContactConnection,
  ContactFieldsInput,
  ContactInput,
  ContactPayload,
  ImportContactsInput,
  ImportContactsPayload,
  UpdateContactInput,
} from './contact-change.type.ts';

function fieldsOf(input: ContactFieldsInput, path = ''): ContactFields {
  const { via, address, conversationIds, ...rest } = input;
  if (via != null && !isJsonObject(via)) throw new InvalidInput(`${path}via`, 'must be an object');
  return {
    ...rest,
    via: via as ContactFields['via'],
    address: address && { ...address },
    conversationIds: conversationIds?.map((id) => uuidOf('Conversation', id, `${path}conversations`)),
  };
}

async function shown(ctx: GraphCtx, id: string) {
  ctx.loaders.contactDetails.clear(id);
  ctx.loaders.conversationRefs.clear(id);
  return ctx.loaders.contact.clear(id).load(id);
}

@Resolver(() => ContactType)
export class ContactResolver {
  @Query(() => ContactConnection, { description: 'Contacts, newest first.' })
  async contacts(@Ctx() ctx: GraphCtx, @Args(() => PageArgs) args: PageArgs) {
    const page = await listContacts(ctx, args);
    return toConnection(page, contactCursor, { total: page.total });
  }

  @Query(() => ContactType, {
    nullable: true,
    description: 'One contact, by its id or as that of a conversation; null where there is none.',
  })
  contact(
    @Ctx() ctx: GraphCtx,
    @Arg('id', () => ID, { nullable: true, description: 'Its id.' }) id?: string,
    @Arg('conversationId', () => ID, { nullable: true, description: 'Id of a conversation.' }) conversationId?: string,
  ) {
    return findContact(ctx, {
      id: optionalUuidOf('Contact', id, 'id'),
      conversationId: optionalUuidOf('Conversation', conversationId, 'conversationId'),
    });
  }

  @Mutation(() => ContactPayload, { description: 'Makes a contact that has not written yet.' })
  async createContact(@Ctx() ctx: GraphCtx, @Arg('input', () => ContactFieldsInput) input: ContactFieldsInput) {
    const { id } = await createContact(ctx, fieldsOf(input));
    return { contact: await shown(ctx, id) };
  }

  @Mutation(() => ContactPayload, { description: 'Changes what is given. NOT_FOUND.' })
  async updateContact(@Ctx() ctx: GraphCtx, @Arg('input', () => UpdateContactInput) input: UpdateContactInput) {
    const { contactId, ...fields } = input;
    const { id } = await updateContact(ctx, { ...fieldsOf(fields), contactId: uuidOf('Contact', contactId, 'id') });
    return { contact: await shown(ctx, id) };
  }

  @Mutation(() => ImportContactsPayload, { description: 'Makes many contacts: all of them or none.' })
  async importContacts(@Ctx() ctx: GraphCtx, @Arg('input', () => ImportContactsInput) input: ImportContactsInput) {
    const made = await importContacts(
      ctx,
      input.contacts.map((fields, index) => fieldsOf(fields, `contacts[${index}].`)),
    );
    return { contacts: await ctx.loaders.contact.loadMany(made.map(({ id }) => id)) };
  }

  @Mutation(() => DeletePayload, {
    description:
      'Deletes a contact; its conversations stay, without one until who writes in them writes again. NOT_FOUND.',
  })
  async deleteContact(@Ctx() ctx: GraphCtx, @Arg('input', () => ContactInput) input: ContactInput) {
    const contactId = uuidOf('Contact', input.contactId, 'contactId');
    await deleteContact(ctx, { contactId });
    return { deletedId: globalId('Contact', contactId) };
  }

  @FieldResolver(() => ConversationConnection, { description: 'Their conversations, newest activity first.' })
  async conversations(@Ctx() ctx: GraphCtx, @Root() contact: ShownContact, @Args(() => PageArgs) args: PageArgs) {
    return conversationConnection(ctx, await ctx.loaders.conversationsOf(contact.id, args));
  }
}
