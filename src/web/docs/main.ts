import 'swagger-ui-dist/swagger-ui.css';
import './page.css';
import SwaggerUi from 'swagger-ui-dist/swagger-ui-es-bundle.js';

SwaggerUi({
  url: '/openapi.json',
  domNode: document.querySelector('#docs'),
  deepLinking: true,
  docExpansion: 'list',
  filter: true,
  tryItOutEnabled: true,
  // Else it asks a server elsewhere whether the document is sound.
  validatorUrl: null,
});
