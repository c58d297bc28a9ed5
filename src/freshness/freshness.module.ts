import { Global, Module } from '@nestjs/common';
import { ConnectionFreshness } from './connection-freshness.js';
import { FeedStore } from './feed.store.js';
import { FreshnessFeed } from './freshness.feed.js';

/** The ordered feed that tells every replica what was revoked or changed. Imported by the modules that need it. */
@Global()
@Module({ providers: [FeedStore, FreshnessFeed, ConnectionFreshness], exports: [FreshnessFeed] })
export class FreshnessModule {}
