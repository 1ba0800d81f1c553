/* str.h - the few string operations that libc lacks. No allocation but str_format(). */
#ifndef BASE_STR_H
#define BASE_STR_H

#include <stdbool.h>
#include <stddef.h>

/* Copies `from` into `to` (room for `size` bytes, >= 1), cut between UTF-8 characters. True when all of it fitted. */
bool str_copy(char *to, size_t size, const char *from);

/* Makes text fit to be shown and put into JSON, in place: control characters and what is not UTF-8 become '?', newline
 * and tab a space. */
void str_printable(char *text);

/* The longest prefix of text[0..size) that is at most `limit` bytes and ends between UTF-8 characters. */
size_t str_utf8_cut(const char *text, size_t size, size_t limit);

/* True when text[0..size) is well-formed UTF-8 without NUL (Unicode 15, table 3-7). */
bool str_utf8_valid(const char *text, size_t size);

/* asprintf that returns the string, NULL without memory. To be freed. */
char *str_format(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* The whole of `text` as a number in min..max. False (and *out untouched) for anything else. */
bool str_number(const char *text, unsigned long min, unsigned long max, unsigned long *out);

#endif
