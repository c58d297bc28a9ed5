import 'reflect-metadata';

/** Applies decorators without a compiler. */
export function decorate(type, { on = [], method, methodOn = [], inject = [] }) {
  Reflect.defineMetadata('design:paramtypes', inject, type);
  for (const decorator of on) decorator(type);
  if (method) {
    const descriptor = Object.getOwnPropertyDescriptor(type.prototype, method);
    for (const decorator of methodOn) decorator(type.prototype, method, descriptor);
  }
  return type;
}
