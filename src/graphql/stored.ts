import { Field, ID, InterfaceType, ObjectType } from 'type-graphql';

@InterfaceType('Node', { description: 'A thing with an id that is unique over all types.' })
export abstract class Node {
  @Field(() => ID, { description: 'Opaque and stable.' })
  id!: string;
}

@InterfaceType('Stored', {
  description: 'A stored thing. legacyId is the id of the REST side: a UUID, the chosen name for sources.',
  implements: Node,
})
export abstract class Stored extends Node {
  @Field(() => String, { description: 'The id that REST shows and takes.' })
  legacyId!: string;
}

@ObjectType({ simpleResolvers: true, description: 'What was deleted.' })
export class DeletePayload {
  @Field(() => ID, { description: 'Its opaque id.' })
  deletedId!: string;
}
