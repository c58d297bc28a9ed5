import { Body, Controller, Get, HttpCode, Post, Query } from '@nestjs/common';
import {
  CurrentPrincipal,
  CurrentResource,
  RequireAssurance,
  RequirePermission,
  type Principal,
} from 'nestjs-zero-trust';
import { PageQuery, type Page } from '../page.query.js';
import type { Invoice } from './invoice.entity.js';
import { ApprovableInvoice, ReadableInvoice } from './invoice.resources.js';
import type { InvoiceView } from './invoice.view.js';
import { CreateInvoiceDto } from './invoices.dto.js';
import { InvoicesService } from './invoices.service.js';

@Controller('invoices')
export class InvoicesController {
  constructor(private readonly invoices: InvoicesService) {}

  @Get()
  @RequirePermission('invoices:read')
  list(@Query() page: PageQuery): Promise<Page<InvoiceView>> {
    return this.invoices.list(page);
  }

  @Post()
  @RequirePermission('invoices:write')
  create(@CurrentPrincipal() caller: Principal, @Body() dto: CreateInvoiceDto): Promise<InvoiceView> {
    return this.invoices.create(caller, dto);
  }

  @Get(':id')
  @RequirePermission('invoices:read', { resource: ReadableInvoice })
  read(@CurrentResource() invoice: Invoice): Promise<InvoiceView> {
    return this.invoices.viewOf(invoice);
  }

  @Post(':id/approve')
  @RequirePermission('invoices:approve', { resource: ApprovableInvoice })
  @RequireAssurance({ acr: 'aal2', maxAgeSeconds: 300 })
  @HttpCode(200)
  approve(@CurrentPrincipal() caller: Principal, @CurrentResource() invoice: Invoice): Promise<InvoiceView> {
    return this.invoices.approve(caller, invoice);
  }
}
