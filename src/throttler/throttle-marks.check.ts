import { Injectable, type OnModuleInit } from '@nestjs/common';
import { DiscoveryService, MetadataScanner } from '@nestjs/core';
import { BootError } from '../core/zero-trust-error.js';
import { markFaults } from './handler.limits.js';

/** Refuses to start on a throttle mark that would weaken a limit, or that nothing would enforce. */
@Injectable()
export class ThrottleMarksCheck implements OnModuleInit {
  constructor(private readonly discovery: DiscoveryService) {}

  onModuleInit(): void {
    const faults = new Set<string>();
    const scanner = new MetadataScanner();
    for (const wrapper of [...this.discovery.getControllers(), ...this.discovery.getProviders()]) {
      const type: unknown = wrapper.metatype;
      if (typeof type !== 'function') continue;
      // A provider's metatype may be its factory, or a class without a prototype to look at.
      const prototype = (type as { readonly prototype?: Record<string, unknown> }).prototype;
      for (const fault of markFaults(type)) faults.add(`${type.name} ${fault}`);
      if (!prototype) continue;
      for (const method of scanner.getAllMethodNames(prototype)) {
        const handler = prototype[method];
        if (typeof handler !== 'function') continue;
        for (const fault of markFaults(handler)) faults.add(`${type.name}.${method} ${fault}`);
      }
    }
    if (faults.size > 0) throw new BootError('ThrottlingModule', [...faults]);
  }
}
