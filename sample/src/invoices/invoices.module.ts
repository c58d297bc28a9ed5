import { Module } from '@nestjs/common';
import { DatabaseModule } from 'nestjs-zero-trust';
import { Invoice } from './invoice.entity.js';
import { ApprovableInvoice, ReadableInvoice } from './invoice.resources.js';
import { InvoicesController } from './invoices.controller.js';
import { InvoicesService } from './invoices.service.js';

@Module({
  imports: [DatabaseModule.forFeature([Invoice])],
  controllers: [InvoicesController],
  providers: [InvoicesService, ReadableInvoice, ApprovableInvoice],
})
export class InvoicesModule {}
