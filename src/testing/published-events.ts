import { SecurityEvents, type PublishedSecurityEvent } from '../core/security-events.js';
import { kitProvider, type TestedApplication } from './kit-provider.js';

const collected = new WeakMap<SecurityEvents, PublishedSecurityEvent[]>();

/** From here on, everything that is published is kept for the test. */
export function collect(events: SecurityEvents): void {
  const published: PublishedSecurityEvent[] = [];
  collected.set(events, published);
  events.subscribe((event) => {
    published.push(event);
  });
}

/**
 * Every security event that an application has published so far, oldest first: refusals and changes, complete as a
 * listener gets them.
 *
 * @throws TypeError for an application without `ZeroTrustTestingModule` that was built without `withTestPrincipals`.
 */
export function publishedEvents(app: TestedApplication): readonly PublishedSecurityEvent[] {
  const published = collected.get(kitProvider(app, SecurityEvents));
  if (published) return [...published];
  throw new TypeError(
    'publishedEvents(): nobody collects them; import ZeroTrustTestingModule or call withTestPrincipals().',
  );
}
