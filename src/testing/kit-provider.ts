import type { INestApplicationContext } from '@nestjs/common';

/** An application, or a compiled testing module; neither need be initialised. */
export type TestedApplication = Pick<INestApplicationContext, 'get'>;

/** A provider of the kit. @throws TypeError when the application has none, or another copy of the kit. */
export function kitProvider<T>(app: TestedApplication, type: abstract new (...args: never[]) => T): T {
  try {
    return app.get<T>(type, { strict: false });
  } catch (cause) {
    const mend = 'import ZeroTrustModule, AccessModule or ZeroTrustTestingModule, of one copy of the package';
    throw new TypeError(`The application has no ${type.name}: ${mend}.`, { cause });
  }
}
