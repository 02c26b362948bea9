import { sql } from 'kysely';
import type { Contact } from './contact.entity.ts';

/** What is shown of a contact, under the names of the schema. */
export interface ShownContact
  extends Pick<Contact, 'id' | 'firstName' | 'lastName' | 'avatarUrl' | 'externalId' | 'metadata'> {
  /** The id that REST shows. */
  legacyId: string;
  /** Made from the id where no name is known. */
  displayName: string;
  isNamed: boolean;
}

/** Columns of a contact beside others of one statement; null where a left join found none. */
export interface ContactColumns {
  p_id: string | null;
  p_display_name: string | null;
  p_first_name: string | null;
  p_last_name: string | null;
  p_avatar_url: string | null;
  p_external_id: string | null;
  p_metadata: Record<string, unknown> | null;
}

/** For `select`, of a table called p. */
export const contactColumns = sql.raw(`
  p.id p_id, p.display_name p_display_name, p.first_name p_first_name, p.last_name p_last_name,
  p.avatar_url p_avatar_url, p.external_id p_external_id, p.metadata p_metadata`);

/** What nearly every reader of a list of conversations asks of a contact. */
export const frequentContactColumns = sql.raw(`
  p.id p_id, p.display_name p_display_name, p.first_name p_first_name, p.last_name p_last_name,
  p.avatar_url p_avatar_url`);

export function toContact(row: ContactColumns): ShownContact | null {
  if (row.p_id === null) return null;
  return {
    id: row.p_id,
    legacyId: row.p_id,
    displayName: row.p_display_name ?? `Contact ${row.p_id.slice(-5)}`,
    isNamed: row.p_display_name !== null,
    firstName: row.p_first_name,
    lastName: row.p_last_name,
    avatarUrl: row.p_avatar_url,
    externalId: row.p_external_id,
    metadata: row.p_metadata ?? {},
  };
}
