import type { DataSource } from 'typeorm';

/** The DataSource that the kit works on: the host's own, or one that DatabaseModule opened from a URL. */
export abstract class KitDataSource {
  abstract readonly dataSource: DataSource;
}
