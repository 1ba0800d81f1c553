#include "base/log.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/str.h"

void
log_line(const struct log *log, enum log_level level, const char *format, ...)
{
	char line[LOG_LINE];
	va_list args;
	va_start(args, format);
	vsnprintf(line, sizeof(line), format, args);
	va_end(args);
	str_printable(line);
	log->sink(log->user, (int)level, line);
}
