import { Injectable } from '@nestjs/common';

/**
 * What the edge and the proof must know of each other, without importing each other: whether browsers send credentials
 * by themselves (cookies), and whether what another site makes them send is refused. One without the other must not
 * serve (ASVS 3.5.1).
 */
@Injectable()
export class BrowserCredentials {
  /** Owned by whatever sets cookies; written before the application is secured. */
  cookiesInUse = false;
  /** Owned by the edge: state-changing requests of other sites get 403. */
  crossSiteRefused = false;
}
