import { Field, ID, InputType, Int, ObjectType } from 'type-graphql';
import { countedFields, PageInfo } from '../../connection.ts';
import { CursorScalar, DateTimeScalar, JsonScalar } from '../../scalars.ts';
import { Stored } from '../../stored.ts';

const definitionText =
  '`{start, steps}`: the id of the first step, and the steps; flowDefinitionSchema describes them for editors.';

@ObjectType({ simpleResolvers: true, description: 'A published definition of a flow; it never changes.' })
export class FlowVersionType {
  @Field(() => Int, { description: 'From 1, by one.' })
  number!: number;

  @Field(() => JsonScalar, { description: 'What journeys of it do.' })
  definition!: unknown;

  @Field(() => DateTimeScalar, { description: 'When it was published.' })
  publishedAt!: Date;
}

@ObjectType('Flow', {
  implements: Stored,
  simpleResolvers: true,
  description: 'What happens over days, as data: steps that send, wait and decide.',
})
export class FlowType extends Stored {
  @Field(() => String, { description: 'What to call it.' })
  name!: string;

  @Field(() => JsonScalar, { description: 'The definition that is being worked on; journeys do not see it.' })
  draft!: unknown;

  @Field(() => DateTimeScalar, { description: 'When it was made.' })
  createdAt!: Date;

  @Field(() => DateTimeScalar, { description: 'When it was last saved or published.' })
  updatedAt!: Date;
}

@ObjectType({ simpleResolvers: true, description: 'A flow at its place in a list.' })
export class FlowEdge {
  @Field(() => CursorScalar, { description: 'Its place.' })
  cursor!: string;

  @Field(() => FlowType, { description: 'The flow.' })
  node!: FlowType;
}

@ObjectType({ simpleResolvers: true, description: 'A page of flows, the newest first.' })
export class FlowConnection {
  @Field(() => [FlowEdge], { description: 'The page with cursors.' })
  edges!: FlowEdge[];

  @Field(() => [FlowType], { description: 'The page.' })
  nodes!: FlowType[];

  @Field(() => PageInfo, { description: 'Where the page stands.' })
  pageInfo!: PageInfo;

  @Field(() => Int, { nullable: true, description: 'How many there are; counted only when selected.' })
  total?: number;
}

countedFields('FlowConnection', 'total');

@InputType({ description: 'A new flow.' })
export class CreateFlowInput {
  @Field(() => String, { description: '1 to 255 characters of one line.' })
  name!: string;

  @Field(() => JsonScalar, { description: definitionText })
  definition!: unknown;
}

@InputType({ description: 'Which flow.' })
export class FlowInput {
  @Field(() => ID, { description: 'Its id.' })
  flowId!: string;
}

@InputType({ description: 'A flow and what changes: a missing field stays.' })
export class UpdateFlowInput extends FlowInput {
  @Field(() => String, { nullable: true, description: '1 to 255 characters of one line.' })
  name?: string;

  @Field(() => JsonScalar, { nullable: true, description: `The whole draft. ${definitionText}` })
  definition?: unknown;
}

@ObjectType({ simpleResolvers: true, description: 'The flow after the change.' })
export class FlowPayload {
  @Field(() => FlowType, { description: 'The flow.' })
  flow!: FlowType;
}

@ObjectType({ simpleResolvers: true, description: 'The flow, and the version that new journeys take from now on.' })
export class PublishFlowPayload extends FlowPayload {
  @Field(() => FlowVersionType, { description: 'The version.' })
  version!: FlowVersionType;
}
