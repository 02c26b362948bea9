/** Contacts, templates and people as both ages of Airy clients find them. */

export interface ContactDetailsData {
  legacyId: string;
  displayName: string;
  isNamed: boolean;
  avatarUrl: string | null;
  title: string | null;
  firstName: string | null;
  lastName: string | null;
  timezone: number | null;
  locale: string | null;
  gender: string | null;
  organizationName: string | null;
  via: Record<string, string>;
  address: {
    organizationName: string | null;
    addressLine1: string | null;
    addressLine2: string | null;
    postcode: string | null;
    city: string | null;
    state: string | null;
    country: string | null;
  } | null;
  conversationRefs: { legacyId: string; sourceId: string }[];
}

/** Selection of a contact, with the conversations that were last active. */
export const contactDetailsFields = `
  legacyId displayName isNamed avatarUrl title firstName lastName timezone locale gender organizationName via
  address { organizationName addressLine1 addressLine2 postcode city state country }
  conversationRefs { legacyId sourceId }`;

export function contactDetailsPayload(contact: ContactDetailsData) {
  const { address } = contact;
  return {
    id: contact.legacyId,
    display_name: contact.isNamed ? contact.displayName : null,
    avatar_url: contact.avatarUrl,
    title: contact.title,
    given_name: contact.firstName,
    family_name: contact.lastName,
    timezone: contact.timezone,
    locale: contact.locale,
    gender: contact.gender,
    organization_name: contact.organizationName,
    via: contact.via,
    address: {
      organization_name: address?.organizationName ?? null,
      address_line1: address?.addressLine1 ?? null,
      address_line2: address?.addressLine2 ?? null,
      postcode: address?.postcode ?? null,
      city: address?.city ?? null,
      state: address?.state ?? null,
      country: address?.country ?? null,
    },
    conversations: Object.fromEntries(contact.conversationRefs.map(({ legacyId, sourceId }) => [legacyId, sourceId])),
  };
}

export interface TemplateData {
  legacyId: string;
  name: string;
  sourceId: string;
  content: unknown;
}

/** Selection of a template. */
export const templateFields = 'legacyId name sourceId content';

export function templatePayload({ legacyId, name, sourceId, content }: TemplateData) {
  return { id: legacyId, name, source: sourceId, content };
}

export interface UserData {
  legacyId: string;
  firstName: string;
  lastName: string;
  avatarUrl: string | null;
  firstSeenAt: string | null;
  lastSeenAt: string | null;
}

/** Selection of a person. */
export const userFields = 'legacyId firstName lastName avatarUrl firstSeenAt lastSeenAt';

export function userPayload(user: UserData) {
  return {
    id: user.legacyId,
    name: `${user.firstName} ${user.lastName}`,
    avatar_url: user.avatarUrl,
    first_seen_at: user.firstSeenAt,
    last_seen_at: user.lastSeenAt,
  };
}

export interface ClientConfigData {
  version: string;
  viewer: UserData | null;
  tagColors: {
    color: string;
    default: string;
    background: string;
    font: string;
    border: string;
    position: number;
  }[];
}

/** Selection of what a client needs to know. */
export const clientConfigFields = `
  version viewer { ${userFields} } tagColors { color default background font border position }`;

/** What of Airy's parts has its like here. */
const services = {
  'api-admin': 'api-admin',
  'api-communication': 'api-communication',
  'api-contacts': 'api-contacts',
  'source-api': 'integration-source-api',
};

export function clientConfigPayload({ version, viewer, tagColors }: ClientConfigData) {
  const colors = tagColors.map(({ color, ...style }) => [`tag-${color.toLowerCase()}`, style]);
  return {
    cluster_version: version,
    services: Object.fromEntries(
      Object.entries(services).map(([name, component]) => [name, { enabled: true, healthy: true, component }]),
    ),
    user_profile: viewer && userPayload(viewer),
    tag_config: { colors: Object.fromEntries(colors) },
  };
}
