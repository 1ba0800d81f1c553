/* input.h - from what a caller names to a descriptor the eye can read. The core opens; it never parses. */
#ifndef CORE_INPUT_H
#define CORE_INPUT_H

#include <stdint.h>

#include "base/why.h"
#include "scry.h"

/* Opens the picture: a regular file of 1 byte to EYE_INPUT_MAX. Does not block on pipes or devices.
 * On success *fd is the caller's. SCRY_E_INPUT, SCRY_E_LIMIT, SCRY_E_ARGUMENT, SCRY_E_SYSTEM with `why`, which does not
 * name the picture: pipeline_finish does. */
int input_open(const struct scry_image *image, int *fd, uint64_t *bytes, struct why *why);

#endif
