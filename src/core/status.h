/* status.h - what a core tells about itself: its workers and their sandboxes, and how it chose. */
#ifndef CORE_STATUS_H
#define CORE_STATUS_H

#include "core/context.h"

#define STATUS_PROBE_MS 30000 /* for all workers to start and try what they may not */

/* The documents of scry_status() and scry_explain(), to be freed. 0 or an error with `why`. */
int status_json(struct scry *scry, int probe, char **json, struct why *why);
int status_explain(struct scry *scry, const char *wanted, char **json, struct why *why);

#endif
