import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Command } from 'commander';
import ts from 'typescript';
import { describe, expect, test } from 'vitest';
import { commandLinesIn, faultOf, program } from './support/documented-commands.js';

const root = fileURLToPath(new URL('..', import.meta.url));
const read = (path: string): string => readFileSync(join(root, path), 'utf8');
const chapters = readdirSync(join(root, 'docs'))
  .filter((name) => name.endsWith('.md'))
  .map((name) => `docs/${name}`);
const scripts = Object.keys((JSON.parse(read('package.json')) as { scripts: object }).scripts);

describe('code blocks', () => {
  const blocksOf = (path: string): string[] =>
    [...read(path).matchAll(/^```ts\n([^]*?)^```/gm)].map(([, code]) => code!);

  test.each([
    ['README.md', ['app.module.ts', 'main.ts']],
    ['docs/database.md', ['database.ts', 'notes.ts']],
    // The module that this one imports is the README's.
    ['docs/cli.md', ['application.ts']],
  ])(
    '%s: every ts block compiles as it stands, under the names that it gives to others',
    (path, names) => {
      const blocks = blocksOf(path);
      expect(blocks).toHaveLength(names.length);
      const files = new Map(names.map((name, at) => [name, blocks[at]!]));
      if (!files.has('app.module.ts')) files.set('app.module.ts', blocksOf('README.md')[0]!);
      expect(faultsOf(files)).toEqual([]);
    },
    120_000,
  );

  test('a block that does not compile is found', () => {
    const [first] = blocksOf('README.md');
    const broken = first!.replace("@RequirePermission('reports:read')", '@RequirePermission(42)');
    expect(faultsOf(new Map([['app.module.ts', broken]])).join()).toContain("[42]' is not assignable");
  }, 120_000);
});

describe('command lines', () => {
  const said = ['README.md', 'CONTRIBUTING.md', 'SECURITY.md', '.env.example', ...chapters].flatMap((path) =>
    commandLinesIn(read(path)).map((line) => [path, line] as const),
  );

  test('the documents name enough of them for this to mean something', () => {
    expect(said.length).toBeGreaterThan(25);
    const named = new Set(said.map(([, line]) => line.split(' ')[1]));
    expect([...named].sort()).toEqual([
      'access',
      'accounts',
      'explain',
      'keys',
      'migrate',
      'report',
      'routes',
    ]);
  });

  test.each(said)('%s: `%s` exists, with those options', (_, line) => {
    expect(faultOf(line)).toBeUndefined();
  });

  test('docs/cli.md shows each command that there is', () => {
    const leaves = (command: Command, path: string): string[] =>
      command.commands.length === 0
        ? [path]
        : command.commands.flatMap((each) => leaves(each, `${path} ${each.name()}`));
    const shown = commandLinesIn(read('docs/cli.md'));
    const missing = leaves(program(), 'zero-trust').filter(
      (path) => !shown.some((line) => line.startsWith(path)),
    );
    expect(missing).toEqual([]);
  });

  test('a command or an option that nobody has is found', () => {
    expect(faultOf('zero-trust divine')).toBe('no command divine');
    expect(faultOf('zero-trust access snyc --app x')).toBe('no command snyc');
    expect(faultOf('zero-trust routes --app x --fromat md')).toBe('no option --fromat');
    expect(faultOf('zero-trust routes --app x --format yaml')).toBe('yaml is no choice of --format');
    expect(faultOf('zero-trust routes --format md')).toBe('--app is missing');
  });
});

describe('links', () => {
  const linksOf = (path: string): string[] =>
    [...read(path).matchAll(/\]\((?![a-z]+:|#)([^)\s]+)\)/g)].map(([, target]) => target!);

  test.each(['README.md', 'CONTRIBUTING.md', 'SECURITY.md', ...chapters])(
    '%s: every relative link leads somewhere',
    (path) => {
      const astray = linksOf(path).filter((link) => {
        const [file = '', heading] = link.split('#');
        const target = file === '' ? path : join(dirname(path), file);
        if (!existsSync(join(root, target))) return true;
        return heading !== undefined && !headingsOf(read(target)).has(heading);
      });
      expect(astray).toEqual([]);
    },
  );

  test.each(['README.md', 'CONTRIBUTING.md', 'SECURITY.md', ...chapters])(
    '%s: every file that it names is there',
    (path) => {
      const named = [
        ...read(path).matchAll(
          /`((?:docs|src|test|sample|scripts|docker|migrations|bench)\/[\w./-]+\.\w+)`/g,
        ),
      ];
      expect(named.map(([, file]) => file!).filter((file) => !existsSync(join(root, file)))).toEqual([]);
    },
  );

  test('every chapter can be reached from the front page', () => {
    const reached = new Set(['README.md']);
    // A set takes in what is added while it is walked.
    for (const page of reached) {
      if (!page.endsWith('.md') || !existsSync(join(root, page))) continue;
      for (const link of linksOf(page)) reached.add(join(dirname(page), link.split('#')[0]!));
    }
    expect(chapters.filter((path) => !reached.has(path))).toEqual([]);
  });
});

describe('npm', () => {
  /** What npm knows without a script. */
  const OWN = new Set(['ci', 'install', 'pack', 'run']);

  test.each(['README.md', 'CONTRIBUTING.md', '.ci/run'])('%s: every npm command exists', (path) => {
    const asked = [...read(path).matchAll(/\bnpm (?:run )?([a-z][a-z:-]*)/g)].map(([, name]) => name!);
    expect(asked.length).toBeGreaterThan(0);
    expect(asked.filter((name) => !OWN.has(name) && !scripts.includes(name))).toEqual([]);
  });

  test('two commands start and prove everything', () => {
    const commands = /```sh\n([^]*?)```/.exec(read('README.md'))![1]!.trimEnd().split('\n');
    expect(commands.map((line) => line.replace(/\s+#.*$/, ''))).toEqual([
      'npm ci && npm start',
      'npm ci && npm test',
    ]);
    expect(read('.ci/run')).toMatch(/^npm ci\b.*\nnpm test$/m);
  });
});

describe('.env.example', () => {
  const settings = (text: string): string[] =>
    [...text.matchAll(/^(?:# )?([A-Z][A-Z0-9_]+)=/gm)].map(([, name]) => name!);

  test('has each setting that the kit or the sample reads, and no other', () => {
    const sources = ['src', 'sample/src'].flatMap((folder) =>
      readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
        .filter((name) => name.endsWith('.ts'))
        .map((name) => read(join(folder, name))),
    );
    const asked = sources.flatMap((source) =>
      [
        // readSetting('X'), requireSetting('X'), and what the sample makes of them; then process.env.X and ['X'].
        /\b(?:readSetting|requireSetting|required|list)\(\s*'([A-Z][A-Z0-9_]+)'/g,
        /\b(?:process\.env|environment)(?:\.|\[')([A-Z][A-Z0-9_]+)/g,
      ].flatMap((pattern) => [...source.matchAll(pattern)].map(([, name]) => name!.replace(/_FILE$/, ''))),
    );
    expect(asked.length).toBeGreaterThan(20);
    // Node's own: read only to refuse what would loosen the whole process.
    const ofNode = new Set(['NODE_OPTIONS', 'NODE_TLS_REJECT_UNAUTHORIZED']);
    const ours = asked.filter((name) => !ofNode.has(name));
    expect(settings(read('.env.example')).sort()).toEqual([...new Set(ours)].sort());
  });
});

/** Compiles files that exist nowhere, strictly, beside the tests. */
function faultsOf(files: ReadonlyMap<string, string>): string[] {
  const { config } = ts.readConfigFile(join(root, 'tsconfig.json'), ts.sys.readFile.bind(ts.sys)) as {
    config: object;
  };
  const { options } = ts.parseJsonConfigFileContent(config, ts.sys, root);
  const folder = join(root, 'test/readme-blocks');
  const texts = new Map([...files].map(([name, text]) => [join(folder, name), text]));
  const host = ts.createCompilerHost(options);
  const { fileExists, readFile } = host;
  host.fileExists = (path) => texts.has(path) || fileExists.call(host, path);
  host.readFile = (path) => texts.get(path) ?? readFile.call(host, path);
  // TypeScript looks for a folder before it looks for files in it.
  host.directoryExists = (path) => path === folder || ts.sys.directoryExists(path);
  const program = ts.createProgram([...texts.keys()], options, host);
  return [...texts.keys()].flatMap((path) =>
    ts.getPreEmitDiagnostics(program, program.getSourceFile(path)).map(({ messageText, file, start = 0 }) => {
      const line = file ? file.getLineAndCharacterOfPosition(start).line + 1 : 0;
      return `${basename(path)}:${line} ${ts.flattenDiagnosticMessageText(messageText, ' ')}`;
    }),
  );
}

/** The anchors of GitHub. */
function headingsOf(markdown: string): ReadonlySet<string> {
  const headings = [...markdown.replace(/^```[^]*?^```/gm, '').matchAll(/^#{1,6} (.+)$/gm)];
  return new Set(
    headings.map(([, text]) =>
      text!
        .toLowerCase()
        .replace(/[^\p{L}\p{N}\s_-]/gu, '')
        .trim()
        .replaceAll(' ', '-'),
    ),
  );
}
