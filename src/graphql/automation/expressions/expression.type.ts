import { Field, InputType, Int, ObjectType, registerEnumType } from 'type-graphql';
import type { TemplatePlace } from '../../../domain/automation/expressions/expression.service.ts';
import { JsonScalar } from '../../scalars.ts';

/** The schema's names of the places. */
export const places = {
  TEXT: 'text',
  HTML: 'html',
  URL: 'url',
  HEADER: 'header',
  JSON: 'json',
} as const satisfies Record<string, TemplatePlace>;
registerEnumType(places, {
  name: 'TemplatePlace',
  description: "Where a template's text goes: decides how values are escaped.",
  valuesConfig: {
    TEXT: { description: 'A message, a subject: as it is.' },
    HTML: { description: 'Values are escaped for HTML.' },
    URL: { description: 'Values are escaped for path and query; scheme, host and port must be literal.' },
    HEADER: { description: 'One line of Latin characters, anything else is a fault.' },
    JSON: {
      description: 'Any JSON value whose texts are templates; a text that is one output keeps the type of its value.',
    },
  },
});

const bindingsText = 'The namespaces by name: an object, such as {"contact": {"firstName": "Ada"}}.';

@InputType({ description: 'An expression, and what it looks at.' })
export class RunExpressionInput {
  @Field(() => String, { description: 'JSONata, at most 4,096 characters.' })
  expression!: string;

  @Field(() => JsonScalar, { nullable: true, description: bindingsText })
  bindings?: unknown;
}

@InputType({ description: 'A template, where it goes, and what it looks at.' })
export class PreviewTemplateInput {
  @Field(() => JsonScalar, {
    description: 'Liquid: a text, for the place JSON any JSON value whose texts are templates.',
  })
  template!: unknown;

  @Field(() => places, { defaultValue: places.TEXT, description: 'Where its text goes.' })
  place!: TemplatePlace;

  @Field(() => JsonScalar, { nullable: true, description: bindingsText })
  bindings?: unknown;
}

@ObjectType({ simpleResolvers: true, description: 'What is wrong with an expression or template.' })
export class ScriptFaultType {
  @Field(() => String, { description: 'In words.' })
  message!: string;

  @Field(() => Int, {
    nullable: true,
    description: 'Where in the source, in characters from 1; null where none is known.',
  })
  position?: number;

  @Field(() => Int, { nullable: true, description: 'Its line, from 1.' })
  line?: number;

  @Field(() => Int, { nullable: true, description: 'Its column in that line, from 1.' })
  column?: number;
}

@ObjectType({ simpleResolvers: true, description: 'What an expression came to: a value or a fault.' })
export class RunExpressionPayload {
  @Field(() => JsonScalar, { nullable: true, description: 'Its value; null also where it gives nothing.' })
  value!: unknown;

  @Field(() => ScriptFaultType, { nullable: true, description: 'Null when all is well.' })
  fault!: ScriptFaultType | null;
}

@ObjectType({
  simpleResolvers: true,
  description: 'What a template came to: a text (a JSON value at the place JSON) or a fault.',
})
export class PreviewTemplatePayload extends RunExpressionPayload {
  @Field(() => [String], { description: 'Variables that it names and that were not given; they come out empty.' })
  unknownVariables!: string[];
}
