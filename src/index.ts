// The door: everything that applications may use, in the order of a request. Nothing inside src/ imports it.

// Composition
export { ZeroTrustModule, type ZeroTrustAsyncOptions, type ZeroTrustOptions } from './zero-trust.module.js';

// Core: the words, the policy marks, the pipeline
export { meetsAssurance, type AssuranceDemand, type AssuranceLevel } from './core/assurance.js';
export { Authenticator } from './core/authenticator.js';
export { Clock, SystemClock } from './core/clock.js';
export {
  definePermissions,
  type Permission,
  type PermissionCatalogue,
  type PermissionsOf,
  type Register,
} from './core/permission.js';
export { LongLived } from './core/connections/long-lived.js';
export {
  PASSED,
  Pipeline,
  PIPELINE,
  refused,
  type JudgedCall,
  type Stage,
  type StageName,
  type Verdict,
} from './core/pipeline.js';
export { PipelineModule } from './core/pipeline.module.js';
export { type Principal } from './core/principal.js';
export { CurrentPrincipal } from './core/principal.decorator.js';
export { RequestContext, type RequestContextInit, type Transport } from './core/request-context.js';
export { ReportOnly } from './core/report-only.js';
export {
  Authenticated,
  policyOf,
  Public,
  RequireAssurance,
  RequirePermission,
  type PermissionDemand,
  type RoutePolicy,
} from './core/route-policy.js';
export {
  SecurityEvents,
  type PublishedSecurityEvent,
  type SecurityAction,
  type SecurityEvent,
  type SecurityEventDelivery,
  type SecurityEventListener,
} from './core/security-events.js';
export { readSetting } from './core/setting.js';
export { StrictFreshness } from './core/strict-freshness.js';
export { SystemTask, type SystemTaskOptions } from './core/system-task.js';
export { uuidV7 } from './core/uuid-v7.js';
export {
  BootError,
  ZeroTrustError,
  type ErrorCode,
  type ZeroTrustErrorInit,
} from './core/zero-trust-error.js';

// Database
export { KitDataSource } from './database/data-source.js';
export { isDatabaseUnavailable } from './database/database.errors.js';
export { DatabaseModule } from './database/database.module.js';
export { type DatabaseOptions } from './database/database.options.js';
export { DatabaseProbe } from './database/database.probe.js';
export { migrate, MigrateError, type MigrateOptions, type MigrateReport } from './database/migrate.js';
export { UnitOfWork } from './database/unit-of-work.js';

// Encryption
export { type Cell } from './encryption/cell.js';
export { developmentMasterKey } from './encryption/development-master-key.js';
export { IntegrityError } from './encryption/encryption.errors.js';
export { EncryptionModule } from './encryption/encryption.module.js';
export { type EncryptionOptions } from './encryption/encryption.options.js';
export { FieldCipher } from './encryption/field-cipher.js';
export { KeyRing } from './encryption/key-ring.js';

// Freshness
export { type FeedEntry, type FeedKind } from './freshness/feed-entry.js';
export { FreshnessFeed } from './freshness/freshness.feed.js';
export { FreshnessModule } from './freshness/freshness.module.js';

// The edge
export { HttpModule } from './http/http.module.js';
export { type HttpOptions } from './http/http.options.js';
export { secureApplication } from './http/secure-application.js';

// Throttling
export { ThrottleStrictly } from './throttler/throttle.decorators.js';
export { ThrottlingModule } from './throttler/throttling.module.js';
export { type ThrottlingOptions } from './throttler/throttling.options.js';
export { ThrottlingService } from './throttler/throttling.service.js';

// Access
export { type Explanation } from './access/decision/access-explanation.js';
export { AccessModule } from './access/access.module.js';
export {
  type AccessOptions,
  type AdapterRouteDeclaration,
  type DeclaredRole,
  type PublicRouteDeclaration,
  type TenantOptions,
} from './access/access.options.js';
export {
  type AccessReport,
  type ReportedWay,
  type ReportFinding,
} from './access/report-only/access-report.js';
export { AccessReports } from './access/report-only/access-reports.js';
export { AccessService, type ObjectDemand } from './access/access.service.js';
export { SYSTEM_PRINCIPAL } from './access/grants/actor.js';
export { CurrentFilter, CurrentResource } from './access/objects/call.findings.js';
export { allOf, anyOf, is, not, oneOf, some, SUBJECT, type Condition } from './access/objects/condition.js';
export {
  decide,
  type AccessQuestion,
  type Decision,
  type DecisionContext,
  type RefusalReason,
} from './access/decision/decide.js';
export { fieldRules, type FieldRule, type FieldRules, type Revealed } from './access/objects/field-rules.js';
export { GrantsService, type GrantRequest } from './access/grants/grants.service.js';
export { type Grant } from './access/grants/grants.store.js';
export { type Held } from './access/decision/held.js';
export { ListFilter } from './access/objects/list-filter.js';
export { objectRule, type ObjectRule, type ObjectRuleInit } from './access/objects/object-rule.js';
export { ResourceResolver, type Visibility } from './access/objects/resource.resolver.js';
export { ReportOnlyRecorder, type ReportOnlyCounts } from './access/report-only/report-only.recorder.js';
export { type ReportOnlyOptions } from './access/report-only/report-only.settings.js';
export { RolesService } from './access/grants/roles.service.js';
export { RouteInventory } from './access/inventory/route-inventory.js';
export { Scopes, type ScopeDirectory } from './access/grants/scopes.js';
export { type SeparatedRoles } from './access/grants/separation-of-duty.js';
export { Subjects, type SubjectDirectory, type SubjectState } from './access/grants/subjects.js';
export { Tenants } from './access/tenants/tenants.js';

// Audit
export { AuditModule } from './audit/audit.module.js';
export { type AuditOptions } from './audit/audit.options.js';

// Monitoring
export { MonitoringModule } from './monitoring/monitoring.module.js';

// Sessions
export { SessionsModule } from './sessions/sessions.module.js';
export { type SessionsOptions } from './sessions/sessions.options.js';
export { RefreshService } from './sessions/refresh/refresh.service.js';
export { SessionHandover, type SessionAnswer } from './sessions/session-handover.js';
export { type SessionDelivery, type SessionEnding } from './sessions/session.js';
export {
  SessionsService,
  type NewSession,
  type OpenedSession,
  type OwnSession,
} from './sessions/sessions.service.js';

// Identity
export { AccountsService, type NewAccount } from './identity/accounts/accounts.service.js';
export { type Account } from './identity/accounts/account.store.js';
export { IdentityModule } from './identity/identity.module.js';
export { type IdentityOptions } from './identity/identity.options.js';
export { SecondFactorsService } from './identity/second-factors/second-factors.service.js';
