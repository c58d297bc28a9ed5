import 'reflect-metadata';

const OF_THE_KIT = Symbol('nestjs-zero-trust:kit-module');

/** Says that the handlers of a module are the kit's own: nobody loosens what they demand. */
export function KitModule(): ClassDecorator {
  return (target) => {
    Reflect.defineMetadata(OF_THE_KIT, true, target);
  };
}

/** Whether a module is the kit's, or a subclass of one: it has the same handlers. */
export function isKitModule(type: object): boolean {
  return Reflect.getMetadata(OF_THE_KIT, type) === true;
}
