/* unit.h - what unit tests share: cmocka with its headers, and looks at this process from outside. */
#ifndef UNIT_UNIT_H
#define UNIT_UNIT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define UNIT_PATIENCE_MS 20000u /* for something that must happen; a test that waits so long has failed */

/* Open descriptors of this process, by /proc/self/fd. */
int unit_descriptors(void);
/* Children of this process, zombies included. */
int unit_children(void);
/* Resident memory of this process in KiB. */
long unit_rss_kb(void);

/* Makes `path` below `folder` (its parents too) with this text. */
void unit_write(const char *folder, const char *path, const char *text);
/* A new folder in $TMPDIR; removed with everything in it by unit_remove(). The string is the caller's to free. */
char *unit_folder(void);
void unit_remove(const char *folder);

/* A picture file in memory (BMP): `width` by `height` pixels of one colour. *size gets its bytes; free it. */
unsigned char *unit_picture(unsigned width, unsigned height, size_t *size);

#endif
