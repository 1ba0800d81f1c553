#include "base/str.h"

#include <errno.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

size_t
str_utf8_cut(const char *text, size_t size, size_t limit)
{
	if (size <= limit)
		return size;
	size_t end = limit;
	while (end > 0 && ((unsigned char)text[end] & 0xc0) == 0x80)
		end--;
	/* More continuation bytes than a character can have: not UTF-8, cut anywhere. */
	return limit - end > 3 ? limit : end;
}

bool
str_copy(char *to, size_t size, const char *from)
{
	size_t have = strnlen(from, size);
	size_t take = have < size ? have : str_utf8_cut(from, have, size - 1);
	memcpy(to, from, take);
	to[take] = '\0';
	return have < size;
}

/* Length of the well-formed character at `text`, 0 when there is none. */
static size_t
utf8_length(const unsigned char *text, size_t size)
{
	unsigned char lead = text[0];
	if (lead < 0x80)
		return lead != 0;
	size_t length = lead >= 0xc2 && lead <= 0xdf ? 2 : (lead & 0xf0) == 0xe0 ? 3 : lead >= 0xf0 && lead <= 0xf4 ? 4 : 0;
	if (length == 0 || length > size)
		return 0;
	/* The second byte's range excludes overlong forms, surrogates and what is past U+10FFFF. */
	unsigned char low = lead == 0xe0 ? 0xa0 : lead == 0xf0 ? 0x90 : 0x80;
	unsigned char high = lead == 0xed ? 0x9f : lead == 0xf4 ? 0x8f : 0xbf;
	if (text[1] < low || text[1] > high)
		return 0;
	for (size_t i = 2; i < length; i++) {
		if ((text[i] & 0xc0) != 0x80)
			return 0;
	}
	return length;
}

/* Whether a terminal would obey it rather than show it: C0, DEL, and C1 in its two-byte form. */
static bool
is_control(const unsigned char *text, size_t length)
{
	return length == 1 ? text[0] < 0x20 || text[0] == 0x7f : length == 2 && text[0] == 0xc2 && text[1] < 0xa0;
}

void
str_printable(char *text)
{
	unsigned char *at = (unsigned char *)text;
	size_t left = strlen(text);
	while (left > 0) {
		size_t length = utf8_length(at, left);
		if (*at == '\n' || *at == '\t')
			*at = ' ';
		else if (length == 0 || is_control(at, length))
			memset(at, '?', length > 0 ? length : 1);
		length = length > 0 ? length : 1;
		at += length;
		left -= length;
	}
}

bool
str_utf8_valid(const char *text, size_t size)
{
	for (size_t at = 0; at < size;) {
		size_t length = utf8_length((const unsigned char *)text + at, size - at);
		if (length == 0)
			return false;
		at += length;
	}
	return true;
}

char *
str_format(const char *format, ...)
{
	char *text;
	va_list args;
	va_start(args, format);
	int n = vasprintf(&text, format, args);
	va_end(args);
	return n < 0 ? NULL : text;
}

bool
str_number(const char *text, unsigned long min, unsigned long max, unsigned long *out)
{
	/* strtoul skips blanks and takes a sign; a setting may have neither. */
	if (text[0] < '0' || text[0] > '9')
		return false;
	char *end;
	errno = 0;
	unsigned long value = strtoul(text, &end, 10);
	if (errno != 0 || *end != '\0' || value < min || value > max)
		return false;
	*out = value;
	return true;
}
