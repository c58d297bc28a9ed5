import 'reflect-metadata';
import { createApplication, explainFailedStart } from './application.js';
import { readSettings } from './settings.js';

// The way to start in production. It neither migrates nor seeds: `zero-trust migrate` and
// `zero-trust accounts create` do, with logins of their own.
try {
  const { host, port } = readSettings();
  const app = await createApplication();
  app.enableShutdownHooks();
  await app.listen(port, host);
  console.log(`listening on ${await app.getUrl()}`);
} catch (failure) {
  console.error(explainFailedStart(failure));
  process.exit(1);
}
