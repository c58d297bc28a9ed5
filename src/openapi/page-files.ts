import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';

/**
 * What the page may do: run the two scripts and take the style sheet that it names itself, show the pictures that this
 * sheet holds, and ask this origin. A nonce for each answer (ASVS 3.4.3): not even another file of this origin runs.
 */
export function pageCsp(nonce: string): string {
  return [
    "default-src 'none'",
    `script-src 'nonce-${nonce}'`,
    `style-src 'nonce-${nonce}'`,
    'img-src data:',
    "connect-src 'self'",
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
  ].join(';');
}

/** 128 bits, for one answer. */
export function makeNonce(): string {
  return randomBytes(16).toString('base64');
}

/** From where @nestjs/swagger itself finds Swagger UI: it is its dependency and not ours. */
const swagger = createRequire(createRequire(import.meta.url).resolve('@nestjs/swagger'));

/** A file of Swagger UI, read once, when the application starts. */
export function swaggerUiFile(name: 'swagger-ui.css' | 'swagger-ui-bundle.js'): string {
  return readFileSync(swagger.resolve(`swagger-ui-dist/${name}`), 'utf8');
}

/** Beside the page's own files stands the document; nothing that a query says changes which one is shown. */
export const START_SCRIPT = `SwaggerUIBundle({
  url: new URL('../openapi.json', document.currentScript.src).pathname,
  dom_id: '#openapi',
  validatorUrl: null,
  queryConfigEnabled: false,
  persistAuthorization: false,
});
`;

/** @param folder where the page's files are, seen from the page: `docs/`, or nothing when it was asked for as `/docs/` */
export function pageHtml(title: string, folder: '' | 'docs/', nonce: string): string {
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${escaped(title)}</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" nonce="${nonce}" href="${folder}swagger-ui.css">
</head>
<body>
<div id="openapi"></div>
<script nonce="${nonce}" src="${folder}swagger-ui-bundle.js"></script>
<script nonce="${nonce}" src="${folder}start.js"></script>
</body>
</html>
`;
}

function escaped(text: string): string {
  return text.replace(/[&<>"]/g, (found) => `&#${found.charCodeAt(0)};`);
}
