// `npm start`: builds what changed, then runs the sample service in development, in this very process, so that
// a signal reaches it without a shell in between.
import { spawnSync } from 'node:child_process';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const compiler = createRequire(import.meta.url).resolve('typescript/bin/tsc');
const built = spawnSync(process.execPath, [compiler, '-b', 'sample/tsconfig.json'], {
  cwd: root,
  stdio: 'inherit',
});
if (built.status !== 0) {
  console.error('The build failed; nothing was started.');
  process.exit(built.status ?? 1);
}
await import(new URL('../sample/dist/development.js', import.meta.url).href);
