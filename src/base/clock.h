/* clock.h - monotonic time, unaffected by changes of the wall clock. */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include <stdint.h>

uint64_t clock_us(void);

#endif
