// Bare Nest: the route and nothing in front of it.
import { Controller, Get, Module } from '@nestjs/common';
import { ANSWER, createApplication, decorate, serve } from './serve.mjs';

class DocumentsController {
  list() {
    return ANSWER;
  }
}
decorate(DocumentsController, { on: [Controller('documents')], method: 'list', methodOn: [Get()] });

class AppModule {}
decorate(AppModule, { on: [Module({ controllers: [DocumentsController] })] });

await serve(await createApplication(AppModule));
