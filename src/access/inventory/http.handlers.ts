import { RequestMethod, VERSION_NEUTRAL } from '@nestjs/common';
import {
  HOST_METADATA,
  METHOD_METADATA,
  MODULE_PATH,
  PATH_METADATA,
  VERSION_METADATA,
} from '@nestjs/common/constants.js';
import type { VersionValue } from '@nestjs/common/interfaces/version-options.interface.js';
import { MetadataScanner, type ApplicationConfig } from '@nestjs/core';
// Nest's own arithmetic of prefix, exclusions, versions and module paths (as @nestjs/swagger does): two would differ.
import { RoutePathFactory } from '@nestjs/core/router/route-path-factory.js';
import { metadataOf, policyOfMethod, type HandlerHost, type JudgedEntry } from './route-entry.js';

const scanner = new MetadataScanner();

/** Every HTTP route of a controller, once for each path that it is served at. */
export function httpHandlersOf(
  host: HandlerHost,
  module: { readonly type: object; readonly applicationId: string },
  config: ApplicationConfig,
): readonly JudgedEntry[] {
  const factory = new RoutePathFactory(config);
  const versioningOptions = config.getVersioning();
  const controllerVersion = versioningOptions
    ? ((metadataOf(VERSION_METADATA, host.type) as VersionValue | undefined) ??
      versioningOptions.defaultVersion)
    : undefined;
  const hostName = metadataOf(HOST_METADATA, host.type);
  const modulePath = (metadataOf(MODULE_PATH + module.applicationId, module.type) ??
    metadataOf(MODULE_PATH, module.type)) as string | undefined;

  return scanner.getAllMethodNames(host.prototype).flatMap((handlerName): JudgedEntry[] => {
    const method = host.prototype[handlerName];
    const methodPath = metadataOf(PATH_METADATA, method);
    if (methodPath === undefined) return [];
    const requestMethod = (metadataOf(METHOD_METADATA, method) ?? RequestMethod.GET) as RequestMethod;
    const methodVersion = metadataOf(VERSION_METADATA, method) as VersionValue | undefined;
    const servedAt = (version: VersionValue | undefined): readonly string[] =>
      listOf(metadataOf(PATH_METADATA, host.type)).flatMap((ctrlPath) =>
        listOf(methodPath).flatMap((path) =>
          factory.create(
            {
              ctrlPath,
              methodPath: path,
              globalPrefix: config.getGlobalPrefix() && slashed(config.getGlobalPrefix()),
              ...(modulePath !== undefined && { modulePath }),
              ...(versioningOptions && { versioningOptions }),
              ...(version !== undefined && { methodVersion: version }),
            },
            requestMethod,
          ),
        ),
      );
    // Each version is a way in of its own: one that is added shows in a comparison.
    return versionsOf(versioningOptions && (methodVersion ?? controllerVersion)).flatMap((version) =>
      [...new Set(servedAt(version))].map((path): JudgedEntry => ({
        transport: 'http',
        method: RequestMethod[requestMethod],
        path,
        ...(version !== undefined && { version: version === VERSION_NEUTRAL ? 'neutral' : version }),
        ...(hostName !== undefined && { host: listOf(hostName, String).join(', ') }),
        className: host.name,
        handlerName,
        policy: policyOfMethod(host, handlerName),
      })),
    );
  });
}

function versionsOf(
  version: VersionValue | undefined,
): readonly (string | typeof VERSION_NEUTRAL | undefined)[] {
  return Array.isArray(version) ? version : [version];
}

function listOf(paths: unknown, form: (path: unknown) => string = slashed): readonly string[] {
  return (Array.isArray(paths) ? paths : [paths]).map(form);
}

function slashed(path: unknown): string {
  const text = typeof path === 'string' ? path : '';
  return text.startsWith('/') ? text : `/${text}`;
}
