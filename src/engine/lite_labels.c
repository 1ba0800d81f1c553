/* lite_labels.c - label maps. In the worker scry-lite and in unit tests. */
#include "engine/lite_labels.h"

#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "scry.h"

#define LABELS_BYTES ((size_t)64 << 10)

int
lite_labels_parse(const void *data, size_t size, struct lite_labels *out)
{
	struct lite_labels labels = {0};
	if (size == 0 || size > LABELS_BYTES || !str_utf8_valid(data, size))
		return SCRY_E_MODEL;
	char *next = labels.text = strndup(data, size), *line;
	if (labels.text == NULL)
		return SCRY_E_MEMORY;
	while ((line = strsep(&next, "\n")) != NULL) {
		line += strspn(line, " \t\r");
		size_t end = strlen(line);
		while (end > 0 && strchr(" \t\r", line[end - 1]) != NULL)
			line[--end] = '\0';
		if (end == 0 && next == NULL)
			break;
		if (end == 0 || labels.count == LITE_SSD_CLASSES_MAX) {
			free(labels.text);
			return SCRY_E_MODEL;
		}
		labels.name[labels.count++] = line;
	}
	if (labels.count == 0) {
		free(labels.text);
		return SCRY_E_MODEL;
	}
	*out = labels;
	return 0;
}

void
lite_labels_clear(struct lite_labels *labels)
{
	free(labels->text);
	*labels = (struct lite_labels){0};
}
