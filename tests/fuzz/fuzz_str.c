/* fuzz_str.c - the string functions on any bytes: results fit, end, and are UTF-8 when the text was. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "base/why.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
must(int condition)
{
	if (!condition)
		abort();
}

static void
cut_and_copy(const char *text, size_t length, size_t limit)
{
	size_t cut = str_utf8_cut(text, length, limit);
	must(cut <= limit || cut == length);
	must(cut <= length);
	if (str_utf8_valid(text, length))
		must(str_utf8_valid(text, cut) && (length <= limit || limit - cut < 4));
	char *copy = malloc(limit + 1);
	bool fits = str_copy(copy, limit + 1, text);
	must(strlen(copy) <= limit && strncmp(copy, text, strlen(copy)) == 0);
	must(fits == (length <= limit));
	free(copy);
}

static void
show(const char *text, size_t length)
{
	char *shown = malloc(length + 1);
	struct why why;
	memcpy(shown, text, length + 1);
	str_printable(shown);
	must(strlen(shown) == length && str_utf8_valid(shown, length));
	for (size_t i = 0; i < length; i++)
		must((unsigned char)shown[i] >= 0x20 && shown[i] != 0x7f);
	free(shown);
	must(why_set(&why, -7, "%s", text) == -7);
	must(strlen(why.text) < sizeof(why.text) && str_utf8_valid(why.text, strlen(why.text)));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	unsigned long number = 4711;
	if (size == 0)
		return 0;
	size_t limit = data[0];
	str_utf8_valid((const char *)data, size);
	char *text = malloc(size);
	memcpy(text, data + 1, size - 1);
	text[size - 1] = '\0';
	size_t length = strlen(text);
	cut_and_copy(text, length, limit);
	show(text, length);
	if (str_number(text, limit, limit * limit, &number))
		must(number >= limit && number <= limit * limit && text[strspn(text, "0123456789")] == '\0');
	else
		must(number == 4711);
	free(text);
	return 0;
}
