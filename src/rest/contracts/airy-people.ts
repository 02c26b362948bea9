import { z } from 'zod';
import { NotFound } from '../../domain/errors.ts';
import { type Row, row } from '../run-row.ts';
import * as answers from './airy.answers.ts';
import {
  anyJson,
  defined,
  id,
  nothing,
  optionalText,
  type PageData,
  pageArguments,
  pageFields,
  pageInfoFields,
  pageParameters,
  pageVariables,
  text,
  unfilteredAnswer,
} from './airy.inputs.ts';
import { type SessionData, sessionFields, sessionPayload } from './airy.payloads.ts';
import {
  type ClientConfigData,
  type ContactDetailsData,
  clientConfigFields,
  clientConfigPayload,
  contactDetailsFields,
  contactDetailsPayload,
  type TemplateData,
  templateFields,
  templatePayload,
  type UserData,
  userFields,
  userPayload,
} from './airy.people-payloads.ts';

const texts = z.record(z.string(), z.string().nullable());
const address = z.object({
  organization_name: optionalText,
  address_line1: optionalText,
  address_line2: optionalText,
  postcode: optionalText,
  city: optionalText,
  state: optionalText,
  country: optionalText,
});
const timezoneRule = 'must be hours from UTC, -12 to 14';
const contactFields = {
  display_name: optionalText,
  avatar_url: optionalText,
  title: optionalText,
  given_name: optionalText,
  family_name: optionalText,
  timezone: z.int(timezoneRule).min(-12, timezoneRule).max(14, timezoneRule).nullish(),
  locale: optionalText,
  gender: optionalText,
  organization_name: optionalText,
  via: texts.nullish(),
  address: address.nullish(),
  conversations: z.record(z.string(), z.unknown()).nullish(),
};
const contact = z.object(contactFields);

/** The same under the names of the operations. */
function contactInput(body: z.infer<typeof contact>): Record<string, unknown> {
  const {
    display_name,
    avatar_url,
    given_name,
    family_name,
    organization_name,
    address: place,
    conversations,
    ...rest
  } = body;
  return defined({
    ...rest,
    displayName: display_name,
    avatarUrl: avatar_url,
    firstName: given_name,
    lastName: family_name,
    organizationName: organization_name,
    address:
      place &&
      defined({
        organizationName: place.organization_name,
        addressLine1: place.address_line1,
        addressLine2: place.address_line2,
        postcode: place.postcode,
        city: place.city,
        state: place.state,
        country: place.country,
      }),
    conversationIds: conversations && Object.keys(conversations),
  });
}

const largestImport = 1_000_000;
const mostImported = 1_000;
const contactOnly = z.object({ id }).transform((body) => ({ input: { contactId: body.id } }));
const templateOnly = z.object({ id }).transform((body) => ({ input: { templateId: body.id } }));

/** Contacts, templates, people and what a client needs to know of all of them. @see contracts, section 6 */
export const airyPeople: Record<string, Row> = {
  'contacts.list': row({
    runs: `query (${pageParameters}) { contacts(${pageArguments}) {
      nodes { ${contactDetailsFields} } ${pageInfoFields} total } }`,
    in: z.object(pageFields).transform(pageVariables),
    answer: answers.contacts,
    out: ({ contacts }: { contacts: PageData & { nodes: ContactDetailsData[] } }) => ({
      data: contacts.nodes.map(contactDetailsPayload),
      ...unfilteredAnswer(contacts),
    }),
  }),

  'contacts.info': row({
    says: 'One contact, by its id or as that of a conversation.',
    runs: `query ($id: ID, $conversationId: ID) {
      contact(id: $id, conversationId: $conversationId) { ${contactDetailsFields} } }`,
    in: z
      .object({ id: id.nullish(), conversation_id: id.nullish() })
      .transform((body) => defined({ id: body.id, conversationId: body.conversation_id })),
    answer: answers.contact,
    out(data: { contact: ContactDetailsData | null }, variables) {
      if (!data.contact) throw new NotFound('contact', String(variables.id ?? variables.conversationId));
      return contactDetailsPayload(data.contact);
    },
  }),

  'contacts.create': row({
    runs: `mutation ($input: ContactFieldsInput!) {
      made: createContact(input: $input) { contact { ${contactDetailsFields} } } }`,
    status: 201,
    in: contact.transform((body) => ({ input: contactInput(body) })),
    answer: answers.contact,
    out: ({ made }: { made: { contact: ContactDetailsData } }) => contactDetailsPayload(made.contact),
  }),

  'contacts.update': row({
    runs: 'mutation ($input: UpdateContactInput!) { updateContact(input: $input) { contact { legacyId } } }',
    status: 202,
    in: z
      .object({ id, ...contactFields })
      .transform(({ id: contactId, ...body }) => ({ input: { contactId, ...contactInput(body) } })),
    answer: answers.nothing,
    out: () => ({}),
  }),

  'contacts.import': row({
    runs: `mutation ($input: ImportContactsInput!) {
      made: importContacts(input: $input) { contacts { ${contactDetailsFields} } } }`,
    status: 201,
    maxBodyBytes: largestImport,
    // Counted before they are looked at: a megabyte of wrong ones would make half a million faults.
    in: z
      .array(z.unknown())
      .max(mostImported, `must be at most ${mostImported} in one call`)
      .pipe(z.array(contact))
      .transform((list) => ({ input: { contacts: list.map(contactInput) } })),
    answer: answers.importedContacts,
    out: ({ made }: { made: { contacts: ContactDetailsData[] } }) => ({
      data: made.contacts.map(contactDetailsPayload),
    }),
  }),

  'contacts.delete': row({
    runs: 'mutation ($input: ContactInput!) { deleteContact(input: $input) { deletedId } }',
    status: 202,
    in: contactOnly,
    answer: answers.nothing,
    out: () => ({}),
  }),

  'templates.info': row({
    says: 'One template.',
    runs: `query ($id: ID!) { template(id: $id) { ${templateFields} } }`,
    in: z.object({ id }),
    answer: answers.template,
    out({ template }: { template: TemplateData | null }, variables) {
      if (!template) throw new NotFound('template', variables.id);
      return templatePayload(template);
    },
  }),

  'templates.list': row({
    runs: `query ($sourceId: String!, $name: String) {
      templates(sourceId: $sourceId, name: $name) { ${templateFields} } }`,
    in: z.object({ source: text, name: optionalText }).transform(({ source: sourceId, name }) => ({ sourceId, name })),
    answer: answers.templates,
    out: ({ templates }: { templates: TemplateData[] }) => ({ data: templates.map(templatePayload) }),
  }),

  'templates.create': row({
    runs: `mutation ($input: CreateTemplateInput!) {
      made: createTemplate(input: $input) { template { ${templateFields} } } }`,
    status: 201,
    in: z
      .object({ name: text, source: text, content: anyJson })
      .transform(({ source: sourceId, ...rest }) => ({ input: { sourceId, ...rest } })),
    answer: answers.template,
    out: ({ made }: { made: { template: TemplateData } }) => templatePayload(made.template),
  }),

  'templates.update': row({
    runs: `mutation ($input: UpdateTemplateInput!) {
      made: updateTemplate(input: $input) { template { ${templateFields} } } }`,
    in: z
      .object({ id, name: optionalText, source: optionalText, content: z.unknown().optional() })
      .transform(({ id: templateId, source: sourceId, ...rest }) => ({
        input: defined({ templateId, sourceId, ...rest }),
      })),
    answer: answers.template,
    out: ({ made }: { made: { template: TemplateData } }) => templatePayload(made.template),
  }),

  'templates.delete': row({
    runs: 'mutation ($input: TemplateInput!) { deleteTemplate(input: $input) { deletedId } }',
    status: 204,
    in: templateOnly,
  }),

  'users.list': row({
    runs: `query (${pageParameters}) { users(${pageArguments}) { nodes { ${userFields} } ${pageInfoFields} total } }`,
    in: z.object(pageFields).transform(pageVariables),
    answer: answers.users,
    out: ({ users }: { users: PageData & { nodes: UserData[] } }) => ({
      data: users.nodes.map(userPayload),
      ...unfilteredAnswer(users),
    }),
  }),

  'users.invite': row({
    runs: 'mutation ($input: InviteUserInput!) { invited: inviteUser(input: $input) { invitationId } }',
    status: 201,
    faults: [409],
    in: z.object({ email: text }).transform((input) => ({ input })),
    answer: answers.invitation,
    out: ({ invited }: { invited: { invitationId: string } }) => ({ id: invited.invitationId }),
  }),

  'users.accept-invitation': row({
    runs: `mutation ($input: AcceptInvitationInput!) { session: acceptInvitation(input: $input) { ${sessionFields} } }`,
    in: z.object({ id: text, first_name: text, last_name: text, password: text }).transform((body) => ({
      input: {
        invitationId: body.id,
        firstName: body.first_name,
        lastName: body.last_name,
        password: body.password,
      },
    })),
    answer: answers.acceptedInvitation,
    out: (data: SessionData) => ({ ...sessionPayload(data), email: data.session.user.email }),
    // As users.signup: the e-mail got an account meanwhile.
    errors: { CONFLICT: 401 },
  }),

  'client.config': row({
    runs: `query { config: clientConfig { ${clientConfigFields} } }`,
    in: nothing,
    answer: answers.clientConfig,
    out: ({ config }: { config: ClientConfigData }) => clientConfigPayload(config),
  }),
};
