declare module 'swagger-ui-dist/swagger-ui-es-bundle.js' {
  interface Options {
    url: string;
    domNode: Element | null;
    deepLinking?: boolean;
    docExpansion?: 'list' | 'full' | 'none';
    filter?: boolean;
    tryItOutEnabled?: boolean;
    validatorUrl?: string | null;
  }
  export default function SwaggerUi(options: Options): unknown;
}
