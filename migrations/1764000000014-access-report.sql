-- What would have been refused where policies are only reported yet: one row for each way in, reason and permission, however
-- often. It holds no request, no address and no name; whatever stands here comes from code, but for the ids of some subjects.
CREATE TABLE access.report (
  -- The address of the handler, e.g. `GET /cats/:id`, as the access matrix names it; `*` where too many were to be told apart.
  way           text        NOT NULL CHECK (char_length(way) BETWEEN 1 AND 512),
  handler       text        NOT NULL CHECK (char_length(handler) BETWEEN 1 AND 256),
  reason        text        NOT NULL CHECK (char_length(reason) BETWEEN 1 AND 100),
  -- Those that the caller lacks, where that is the reason.
  permissions   text[]      NOT NULL CHECK (cardinality(permissions) <= 64),
  times         bigint      NOT NULL CHECK (times > 0),
  -- Some of whom it concerns; who would have passed is nobody's business.
  subjects      uuid[]      NOT NULL CHECK (cardinality(subjects) <= 20),
  first_seen_at timestamptz NOT NULL,
  last_seen_at  timestamptz NOT NULL,
  PRIMARY KEY (way, handler, reason, permissions)
);

GRANT SELECT, DELETE ON access.report TO zt_app;
GRANT INSERT ON access.report TO zt_app;
GRANT UPDATE (times, subjects, first_seen_at, last_seen_at) ON access.report TO zt_app;
