// What is measured: each case is one server file, and says which tokens it takes.

/** `tokens`: 'shared-secret' (HS256, made here), 'kit' or 'kit-cookie' (sessions that the kit opened). */
export const CASES = [
  { name: 'bare', title: 'bare Nest, no guard at all', server: 'bare', tokens: 'shared-secret' },
  {
    name: 'documentation',
    title: 'the Nest documentation: ThrottlerGuard, JwtService guard (HS256), roles guard',
    server: 'documentation',
    tokens: 'shared-secret',
    guarded: true,
  },
  {
    name: 'passport',
    title: 'passport-jwt (HS256), user looked up in PostgreSQL for each request, roles guard',
    server: 'passport',
    tokens: 'shared-secret',
    guarded: true,
  },
  { name: 'kit', title: 'nestjs-zero-trust, everything on', server: 'kit', tokens: 'kit', guarded: true },
  {
    name: 'kit-cookie',
    title: 'nestjs-zero-trust, everything on, with cookies',
    server: 'kit',
    tokens: 'kit-cookie',
    guarded: true,
  },
  // The kit again, one room after the other: what each adds is the difference to the line above it.
  {
    name: 'kit-guard',
    title: 'the pipeline, with stand-ins that let everybody pass',
    server: 'kit',
    tokens: 'kit',
    rooms: [],
  },
  {
    name: 'kit-http',
    title: '+ http: request context, id, headers, limits',
    server: 'kit',
    tokens: 'kit',
    rooms: ['http'],
  },
  {
    name: 'kit-throttler',
    title: '+ throttler: per source, per source and route, per principal and route',
    server: 'kit',
    tokens: 'kit',
    rooms: ['http', 'throttler'],
  },
  {
    name: 'kit-sessions',
    title: '+ sessions: a known token, and the freshness feed',
    server: 'kit',
    tokens: 'kit',
    rooms: ['http', 'throttler', 'sessions'],
  },
  {
    name: 'kit-access',
    title: '+ access: what the subject holds, remembered',
    server: 'kit',
    tokens: 'kit',
    rooms: ['http', 'throttler', 'sessions', 'access'],
    guarded: true,
  },
];
