import { Body, Controller, Delete, Get, HttpCode, Param, Put } from '@nestjs/common';
import { ADMINISTRATIVE_CHANGE } from '../../core/assurance.js';
import { RequireAssurance, RequirePermission } from '../../core/route-policy.js';
import { PutRoleDto, RoleNameDto } from './role.dto.js';
import { RolesService, type Role } from './roles.service.js';

@Controller('roles')
export class RolesController {
  constructor(private readonly roles: RolesService) {}

  @Get()
  @RequirePermission('roles:read')
  async list(): Promise<{ roles: readonly Role[] }> {
    return { roles: await this.roles.list() };
  }

  @Get(':name')
  @RequirePermission('roles:read')
  get(@Param() { name }: RoleNameDto): Promise<Role> {
    return this.roles.get(name);
  }

  @Put(':name')
  @RequirePermission('roles:write')
  @RequireAssurance(ADMINISTRATIVE_CHANGE)
  put(@Param() { name }: RoleNameDto, @Body() role: PutRoleDto): Promise<Role> {
    return this.roles.put(name, role);
  }

  @Delete(':name')
  @HttpCode(204)
  @RequirePermission('roles:write')
  @RequireAssurance(ADMINISTRATIVE_CHANGE)
  delete(@Param() { name }: RoleNameDto): Promise<void> {
    return this.roles.delete(name);
  }
}
