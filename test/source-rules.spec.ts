import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import ts from 'typescript';
import { describe, expect, test } from 'vitest';

const root = fileURLToPath(new URL('..', import.meta.url));

type Found = readonly [file: string, node: ts.Node];

function nodesOf(node: ts.Node): ts.Node[] {
  const nodes = [node];
  // What is appended is walked too.
  for (const each of nodes) ts.forEachChild(each, (child) => void nodes.push(child));
  return nodes;
}

/** Every node of every source file in a folder. */
function nodesIn(folder: string): Found[] {
  const files = readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' });
  return files
    .filter((each) => each.endsWith('.ts'))
    .sort()
    .flatMap((path) => {
      const text = readFileSync(join(root, folder, path), 'utf8');
      const nodes = nodesOf(ts.createSourceFile(path, text, ts.ScriptTarget.ES2023, true));
      return nodes.map((node): Found => [`${folder}/${path}`, node]);
    });
}

const kit = nodesIn('src');
const everything = [...kit, ...nodesIn('sample/src')];

const parsed = (text: string): ts.Node[] =>
  nodesOf(ts.createSourceFile('probe.ts', text, ts.ScriptTarget.ES2023, true));

/** What ends in a statement: of pg and TypeORM, the unit of work, and the query builder. */
const STATEMENT_MAKERS =
  /^(query|where|andWhere|orWhere|having|orderBy|addOrderBy|groupBy|addSelect|Raw|literal)$/;
const FIXED = /^(#?[A-Z][A-Z0-9_]*|sql)$/;

/** The statements of a call that are put together from anything but constants of the code. */
function composedStatement(node: ts.Node): string | undefined {
  if (!ts.isCallExpression(node)) return undefined;
  const called = ts.isPropertyAccessExpression(node.expression) ? node.expression.name : node.expression;
  if (!STATEMENT_MAKERS.test(called.getText())) return undefined;
  const [statement] = node.arguments;
  return statement === undefined || isFixed(statement) ? undefined : statement.getText();
}

function isFixed(node: ts.Expression): boolean {
  if (ts.isStringLiteralLike(node) || ts.isFunctionLike(node)) return true;
  // `new Brackets(…)`: what is inside of it is looked at on its own.
  if (ts.isNewExpression(node)) return node.expression.getText() === 'Brackets';
  if (ts.isTemplateExpression(node)) {
    return node.templateSpans.every(({ expression }) => isFixed(expression));
  }
  if (ts.isConditionalExpression(node)) return isFixed(node.whenTrue) && isFixed(node.whenFalse);
  return FIXED.test(node.getText());
}

describe('statements', () => {
  /** Each with the reason why what it puts in is none of a caller's. */
  const REVIEWED = [
    // zero-trust migrate: names and passwords of the operator's own logins, quoted or as SCRAM verifiers.
    'src/database/logins.ts',
    // zero-trust migrate: a file of the package or of the operator.
    'src/database/migration-runner.ts',
    // One of two tables, named by the methods beside it.
    'src/access/grants/roles.store.ts: `DELETE FROM access.${table}',
    'src/access/grants/roles.store.ts: `INSERT INTO access.${table}',
    // Names are those of columns that the entity has, values are parameters; tested against `holdsFor` with hostile ones.
    'src/access/objects/list-filter.ts',
    // The embedded PostgreSQL of a development machine, with a password that was just drawn.
    'sample/src/development-database.ts',
  ];

  test('V1.2.4 no statement is put together from anything but constants: values are parameters', () => {
    const composed = everything.flatMap(([file, node]) => {
      const statement = composedStatement(node);
      return statement === undefined ? [] : [`${file}: ${statement}`];
    });
    expect(composed.filter((each) => !REVIEWED.some((reviewed) => each.startsWith(reviewed)))).toEqual([]);
    expect(REVIEWED.filter((reviewed) => !composed.some((each) => each.startsWith(reviewed)))).toEqual([]);
  });

  test.each([
    'unitOfWork.query(`SELECT ${id}`)',
    "unitOfWork.query('SELECT ' + id)",
    'pool.query(text)',
    'builder.orderBy(`note.${column}`)',
    'builder.where(condition)',
    'Raw(`${value}`)',
  ])('V1.2.4 %s would be found', (text) => {
    expect(parsed(text).some((node) => composedStatement(node) !== undefined)).toBe(true);
  });
});

describe('dangerous functions', () => {
  /** What a built-in module lets its user do beyond answering a request. */
  const DANGEROUS =
    /^(node:)?(child_process|cluster|dgram|fs|fs\/promises|http2|https|inspector|module|net|repl|tls|vm|wasi|worker_threads)$/;

  const dangerousImports = (): Record<string, string[]> => {
    const found: Record<string, string[]> = {};
    for (const [file, node] of kit) {
      if (!ts.isImportDeclaration(node) || node.importClause?.phaseModifier === ts.SyntaxKind.TypeKeyword) {
        continue;
      }
      const { text } = node.moduleSpecifier as ts.StringLiteral;
      if (!DANGEROUS.test(text)) continue;
      const names = (node.importClause?.namedBindings as ts.NamedImports | undefined)?.elements ?? [];
      // `isIP` looks at a text and connects to nothing.
      const values = names
        .filter((each) => !each.isTypeOnly && each.name.text !== 'isIP')
        .map((each) => each.name.text);
      if (values.length > 0) (found[file] ??= []).push(`${text}: ${values.sort().join(' ')}`);
    }
    return found;
  };

  test('V1.2.5 V5.3.2 V15.1.5 what npm ships starts no process, and touches files in the places that docs/threat-model.md names', () => {
    const rows = readFileSync(join(root, 'docs/threat-model.md'), 'utf8').matchAll(
      /^\| `(src\/[^`]+)`\s*\| `([^`]+)`/gm,
    );
    const documented: Record<string, string[]> = {};
    for (const [, file, names] of rows) (documented[file!] ??= []).push(names!);
    expect(dangerousImports()).toEqual(documented);
  });

  const runsText = (node: ts.Node): boolean =>
    (ts.isCallExpression(node) || ts.isNewExpression(node)) &&
    (/^(globalThis\.)?(eval|Function)$/.test(node.expression.getText()) ||
      // A timer with a text for its function.
      (/^set(Timeout|Interval|Immediate)$/.test(node.expression.getText()) &&
        node.arguments?.[0] !== undefined &&
        ts.isStringLiteralLike(node.arguments[0])));
  /** A module whose name is not written in the code. */
  const loadsByName = (node: ts.Node): boolean =>
    ts.isCallExpression(node) &&
    (node.expression.kind === ts.SyntaxKind.ImportKeyword || node.expression.getText() === 'require') &&
    node.arguments[0] !== undefined &&
    !ts.isStringLiteralLike(node.arguments[0]);

  test('V1.3.2 no text becomes code; the command line alone loads the application that it is told to', () => {
    const found = everything.filter(([, node]) => runsText(node) || loadsByName(node));
    expect(found.map(([file]) => file)).toEqual(['src/cli/host-application.ts']);
  });

  test.each(['eval(text)', 'new Function(text)', "setTimeout('x()', 1)", 'import(name)', 'require(name)'])(
    'V1.3.2 %s would be found',
    (text) => {
      expect(parsed(text).some((node) => runsText(node) || loadsByName(node))).toBe(true);
    },
  );

  test('V1.2.9 a regular expression that is made while the service runs is made of its own routes and lengths alone', () => {
    const made = everything.filter(
      ([, node]) =>
        (ts.isNewExpression(node) || ts.isCallExpression(node)) &&
        node.expression.getText() === 'RegExp' &&
        node.arguments?.some((each) => !isFixed(each)) === true,
    );
    expect(made.map(([file]) => file)).toEqual([
      // The paths of the application's own controllers.
      'src/http/adapter-methods.ts',
      'src/sessions/refresh/refresh-token.ts',
    ]);
    const patterns = everything.filter(
      ([, node]) => ts.isStringLiteralLike(node) && /\s(I?LIKE|SIMILAR TO|~\*?)\s+\$/i.test(node.text),
    );
    expect(patterns.map(([file]) => file)).toEqual([]);
  });
});

describe('cryptography', () => {
  test('V11.1.2 V11.1.3 docs/cryptography.md names every place that uses it, with each function', () => {
    const found: string[] = [];
    for (const [file, node] of kit) {
      if (!ts.isImportDeclaration(node)) continue;
      const { text } = node.moduleSpecifier as ts.StringLiteral;
      if (
        !/^(node:)?(crypto|jose|jsonwebtoken|otpauth|@node-rs\/argon2|@nestjs\/jwt|passport-jwt)$/.test(text)
      ) {
        continue;
      }
      const bindings = node.importClause?.namedBindings as ts.NamedImports | undefined;
      for (const each of bindings?.elements ?? []) {
        if (!each.isTypeOnly && node.importClause?.phaseModifier !== ts.SyntaxKind.TypeKeyword) {
          found.push(`${file} ${(each.propertyName ?? each.name).text}`);
        }
      }
    }
    const documented = [
      ...readFileSync(join(root, 'docs/cryptography.md'), 'utf8').matchAll(
        /^\| `(src\/[^`]+)`\s*\| ([^|]+)\|/gm,
      ),
    ].flatMap(([, file, names]) => names!.match(/[\w]+/g)!.map((name) => `${file!} ${name}`));
    expect(documented.sort()).toEqual(found.sort());
  });

  test('V11.3.1 V11.3.2 V11.3.5 V11.4.1 the algorithms that the code names are these', () => {
    const named = new Set<string>();
    for (const [file, node] of everything) {
      if (!ts.isStringLiteralLike(node)) continue;
      if (
        /^(aes|des|rc4|bf|chacha|camellia|aria|sm4)\b.*|.*-(cbc|ctr|ecb|ofb|cfb|gcm|ccm)$/i.test(node.text)
      ) {
        named.add(`${node.text} in ${file}`);
      }
      if (/^(RSA-)?(md[245]|sha-?\d+(-\d+)?|ripemd\d*|whirlpool|blake\w+|sm3)$/i.test(node.text)) {
        named.add(node.text);
      }
    }
    expect([...named].sort()).toEqual([
      // RFC 6238: what every authenticator app computes.
      'SHA1',
      // One block at a time, as the derivation of XAES-256-GCM asks for; never a message.
      'aes-256-ecb in src/encryption/xaes.ts',
      'aes-256-gcm in src/encryption/xaes.ts',
      'sha256',
    ]);
  });

  test('V11.5.1 V6.5.3 nothing is drawn from a generator that can be guessed', () => {
    const found = everything.filter(
      ([, node]) => ts.isPropertyAccessExpression(node) && /^Math\.random$/.test(node.getText()),
    );
    expect(found.map(([file]) => file)).toEqual([]);
  });
});

describe('logs', () => {
  const FAMILIES =
    /^(access|account|audit|authentication|connection|document|encryption|factor|grant|invoice|key|role|session|task|throttle)\.[a-z]+(-[a-z]+)*$/;
  /** Of the query builder. */
  const COLUMNS = new Set(['document.id']);

  test('V16.1.1 docs/events.md names every event that can be published', () => {
    const published = everything.flatMap(([, node]) =>
      ts.isStringLiteralLike(node) && FAMILIES.test(node.text) && !COLUMNS.has(node.text) ? [node.text] : [],
    );
    const documented = [
      ...readFileSync(join(root, 'docs/events.md'), 'utf8').matchAll(/^\| `([a-z]+\.[a-z-]+)` +\|/gm),
    ].map(([, action]) => action!);
    expect(documented.length).toBeGreaterThan(30);
    expect([...documented].sort()).toEqual([...new Set(published)].sort());
  });

  test('V16.1.1 no event is published under a name that the code puts together', () => {
    const composed = everything.filter(
      ([, node]) =>
        ts.isPropertyAssignment(node) &&
        node.name.getText() === 'action' &&
        ts.isTemplateExpression(node.initializer),
    );
    expect(composed.map(([file]) => file)).toEqual([]);
  });

  test('V16.2.3 nothing is written but by the logger, the request log and the command line', () => {
    const writers = kit.filter(
      ([, node]) =>
        ts.isPropertyAccessExpression(node) &&
        (/^process\.std(out|err)$/.test(node.getText()) || node.expression.getText() === 'console'),
    );
    const files = [...new Set(writers.map(([file]) => file))];
    expect(files.filter((file) => !file.startsWith('src/cli/'))).toEqual(['src/http/request-log.ts']);
  });
});
