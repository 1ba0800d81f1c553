#include "base/why.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/str.h"

int
why_set(struct why *why, int error, const char *format, ...)
{
	/* The arguments may point into why->text itself, so the sentence is formed beside it. */
	char text[WHY_BYTES * 2];
	va_list args;
	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	str_copy(why->text, sizeof(why->text), text);
	str_printable(why->text);
	return error;
}
