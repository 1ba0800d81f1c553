/* lite_labels.h - a label map: one name a line, the line's number being the class. Pure, but for the copy it makes. */
#ifndef ENGINE_LITE_LABELS_H
#define ENGINE_LITE_LABELS_H

#include <stddef.h>

#include "engine/lite_ssd.h"

struct lite_labels {
	const char *name[LITE_SSD_CLASSES_MAX]; /* into `text` */
	unsigned count;
	char *text; /* malloc'd; lite_labels_clear() frees it */
};

/* Reads `size` bytes of a label map; blanks at the ends of a line and a last newline do not matter. 0 and *out, to be
 * cleared; SCRY_E_MODEL when there is no name, too many, or text that is not UTF-8; SCRY_E_MEMORY. */
int lite_labels_parse(const void *data, size_t size, struct lite_labels *out);
void lite_labels_clear(struct lite_labels *labels);

#endif
