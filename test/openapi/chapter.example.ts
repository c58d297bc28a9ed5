import { Body, Controller, Module, Post } from '@nestjs/common';
import { IsString, MaxLength } from 'class-validator';
import { definePermissions, RequireAssurance, RequirePermission, ZeroTrustModule } from 'nestjs-zero-trust';
import { OpenApiModule } from 'nestjs-zero-trust/openapi';

const permissions = definePermissions({ documents: ['write'] });

class CreateDocumentDto {
  @IsString()
  @MaxLength(200)
  title!: string;
}

@Controller('documents')
class DocumentsController {
  @Post()
  @RequirePermission('documents:write')
  @RequireAssurance({ acr: 'aal2', maxAgeSeconds: 600 })
  create(@Body() { title }: CreateDocumentDto) {
    return { title };
  }
}

@Module({
  imports: [
    ZeroTrustModule.forRoot({
      database: { url: process.env.DATABASE_URL! },
      encryption: { masterKey: process.env.ZERO_TRUST_MASTER_KEY! },
      access: { permissions },
      audit: { readerUrl: process.env.DATABASE_AUDIT_URL! },
      sessions: { issuer: 'https://notes.example.com', audience: 'https://notes.example.com' },
    }),
    OpenApiModule.forRoot({ title: 'Notes', version: '1.0.0', page: true }),
  ],
  controllers: [DocumentsController],
})
export class AppModule {}
