import { Module } from '@nestjs/common';
import { describe, expect, test } from 'vitest';
import { hostExportOf } from '../../src/cli/host-export.js';

@Module({ imports: [] })
class AppModule {}

@Module({ providers: [] })
class OtherModule {}

class Bare {}
const createApplication = (): never => {
  throw new Error('only looked at');
};
const chosen = { kind: 'module', module: AppModule };

describe('which export is the application', () => {
  test.each<[string, object]>([
    ['AppModule before everything else', { default: OtherModule, AppModule, OtherModule, createApplication }],
    ['the default export', { default: AppModule, OtherModule }],
    ['the only module, whatever its name', { PortalModule: AppModule, Bare, createApplication, limit: 3 }],
    ['the same module under two names', { PortalModule: AppModule, ClientModule: AppModule }],
    ['CommonJS with names beside it', { default: { AppModule }, AppModule, __esModule: true }],
    ['CommonJS without names', { default: { AppModule, OtherModule }, 'module.exports': {} }],
  ])('%s', (_, namespace) => {
    expect(hostExportOf(namespace, undefined)).toEqual(chosen);
  });

  test('createApplication is called only when there is no module, and no other function ever unless it is named', () => {
    const factory = { kind: 'factory', create: createApplication };
    expect(hostExportOf({ createApplication, Bare }, undefined)).toEqual(factory);
    expect(() => hostExportOf({ bootstrap: createApplication }, undefined)).toThrow(/exports no Nest module/);
    expect(() => hostExportOf({ default: createApplication }, undefined)).toThrow(/exports no Nest module/);
    expect(hostExportOf({ bootstrap: createApplication }, 'bootstrap')).toEqual(factory);
  });

  test('a named export wins, also a dynamic module and a class without metadata', () => {
    const dynamic = { module: OtherModule };
    expect(hostExportOf({ AppModule, dynamic }, 'dynamic')).toEqual({ kind: 'module', module: dynamic });
    expect(hostExportOf({ AppModule, Bare }, 'Bare')).toEqual({ kind: 'module', module: Bare });
    expect(hostExportOf({ default: dynamic }, undefined)).toEqual({ kind: 'module', module: dynamic });
  });

  test('a subclass does not pass for the module that it extends', () => {
    class Derived extends AppModule {}
    expect(hostExportOf({ AppModule: Derived, Real: AppModule }, undefined)).toEqual(chosen);
  });

  test('an empty file says so', () => {
    expect(() => hostExportOf({}, undefined)).toThrow(/it exports nothing/);
  });
});
