/* test_str.c - strings and sentences: cuts, UTF-8 against a brute-force table, what reaches a terminal, numbers. */
#include "unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/str.h"
#include "base/why.h"

/* The definition: the bytes are the encoding of a scalar value other than 0. */
static bool
is_character(const unsigned char *bytes, size_t size)
{
	/* Only those that share the first byte of three or four; the others differ in it. */
	uint32_t first = size == 3 ? (bytes[0] & 0x0fu) << 12 : (bytes[0] & 0x0fu) << 18;
	for (uint32_t c = first; c <= 0x10ffff && c < first + (size == 3 ? 0x1000 : 0x40000); c++) {
		unsigned char form[4];
		size_t n = c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
		static const unsigned char leads[] = {0, 0x00, 0xc0, 0xe0, 0xf0};
		if (n != size || (c >= 0xd800 && c <= 0xdfff))
			continue;
		form[0] = (unsigned char)(leads[n] | c >> (6 * (n - 1)));
		for (size_t i = 1; i < n; i++)
			form[i] = (unsigned char)(0x80 | (c >> (6 * (n - 1 - i)) & 0x3f));
		if (memcmp(form, bytes, n) == 0)
			return true;
	}
	return false;
}

/* Every sequence of 1 and 2 bytes, against a table filled from all characters. */
static void
test_utf8_short(void **state)
{
	(void)state;
	for (unsigned a = 0; a < 256; a++) {
		unsigned char one[1] = {(unsigned char)a};
		bool alone = a > 0 && a < 0x80;
		assert_int_equal(str_utf8_valid((char *)one, 1), alone);
		for (unsigned b = 0; b < 256; b++) {
			unsigned char two[2] = {(unsigned char)a, (unsigned char)b};
			bool pair = alone && b > 0 && b < 0x80;
			bool wide = a >= 0xc2 && a <= 0xdf && b >= 0x80 && b <= 0xbf;
			assert_int_equal(str_utf8_valid((char *)two, 2), pair || wide);
		}
	}
}

/* Every character there is, and none of its truncations. */
static void
test_utf8_all_characters(void **state)
{
	(void)state;
	for (uint32_t c = 1; c <= 0x10ffff; c++) {
		unsigned char form[4];
		size_t n = c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
		form[0] = (unsigned char)(n == 1 ? c : n == 2 ? 0xc0 | c >> 6 : n == 3 ? 0xe0 | c >> 12 : 0xf0 | c >> 18);
		for (size_t i = 1; i < n; i++)
			form[i] = (unsigned char)(0x80 | (c >> (6 * (n - 1 - i)) & 0x3f));
		bool surrogate = c >= 0xd800 && c <= 0xdfff;
		if (str_utf8_valid((char *)form, n) != !surrogate)
			fail_msg("U+%04X is judged wrong", c);
		for (size_t cut = 1; cut < n; cut++)
			assert_false(str_utf8_valid((char *)form, cut));
	}
}

/* Bytes at the edges of the ranges, three and four of them, against the slow definition. */
static void
test_utf8_edges(void **state)
{
	(void)state;
	static const unsigned char leads[] = {0x7f, 0x80, 0xc1, 0xdf, 0xe0, 0xe1, 0xed, 0xef, 0xf0, 0xf1, 0xf4, 0xf5, 0xff};
	static const unsigned char tails[] = {0x00, 0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf, 0xc0, 0xff};
	for (size_t a = 0; a < COUNT(leads); a++) {
		for (size_t b = 0; b < COUNT(tails); b++) {
			for (size_t c = 0; c < COUNT(tails); c += 3) {
				unsigned char four[4] = {leads[a], tails[b], tails[c], 0x80};
				if (leads[a] >= 0xe0 && str_utf8_valid((char *)four, 3) != is_character(four, 3))
					fail_msg("%02x %02x %02x", four[0], four[1], four[2]);
				if (leads[a] >= 0xf0 && str_utf8_valid((char *)four, 4) != is_character(four, 4))
					fail_msg("%02x %02x %02x %02x", four[0], four[1], four[2], four[3]);
			}
		}
	}
	assert_true(str_utf8_valid("", 0));
	assert_false(str_utf8_valid("a\0b", 3));
}

static void
test_cut(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		size_t limit, cut;
	} cases[] = {
		{"abc", 3, 3},
		{"abc", 9, 3},
		{"abc", 2, 2},
		{"abc", 0, 0},
		{"a\xc3\xa9", 2, 1},                /* within a character of two bytes */
		{"a\xc3\xa9z", 3, 3},               /* right behind it */
		{"\xe2\x82\xac\xe2\x82\xac", 5, 3}, /* within the second euro sign */
		{"\xe2\x82\xac", 1, 0},             /* nothing fits */
		{"\xf0\x9f\x90\x88x", 3, 0},        /* three bytes back is as far as a character goes */
		{"a\xf0\x9f\x90\x88x", 4, 1},
		{"\x80\x80\x80\x80\x80\x80\x80", 5, 5}, /* not UTF-8: anywhere */
	};
	for (size_t i = 0; i < COUNT(cases); i++)
		assert_int_equal(str_utf8_cut(cases[i].text, strlen(cases[i].text), cases[i].limit), cases[i].cut);
}

static void
test_copy(void **state)
{
	(void)state;
	static const struct {
		const char *from;
		size_t size;
		const char *to;
		bool fits;
	} cases[] = {
		{"", 1, "", true},
		{"a", 1, "", false},
		{"abc", 4, "abc", true},
		{"abcd", 4, "abc", false},
		{"ab\xc3\xa9", 4, "ab", false},
		{"ab\xc3\xa9", 5, "ab\xc3\xa9", true},
		{"\xf0\x9f\x90\x88", 4, "", false},
	};
	for (size_t i = 0; i < COUNT(cases); i++) {
		/* Exactly as large as it says: a sanitizer sees a byte too many. */
		char *to = malloc(cases[i].size);
		assert_int_equal(str_copy(to, cases[i].size, cases[i].from), cases[i].fits);
		assert_string_equal(to, cases[i].to);
		free(to);
	}
}

/* What comes out is always UTF-8 and never moves a cursor or colours a terminal. */
static void
test_printable(void **state)
{
	(void)state;
	static const struct {
		const char *text, *shown;
	} cases[] = {
		{"", ""},
		{"plain", "plain"},
		{"two\nlines\there", "two lines here"},
		{"\x1b[31mred\x07\x7f", "?[31mred??"},
		{"caf\xc3\xa9 \xf0\x9f\x90\x88", "caf\xc3\xa9 \xf0\x9f\x90\x88"},
		{"bad \xc3(", "bad ?("},
		{"cut \xe2\x82", "cut ??"},
		{"\xff\xfe", "??"},
		{"csi \xc2\x9b"
	     "31m",
	     "csi ??31m"},            /* U+009B begins a control sequence as ESC [ does */
		{"\xc2\xa0", "\xc2\xa0"}, /* the first one that is none */
	};
	for (size_t i = 0; i < COUNT(cases); i++) {
		char text[64];
		snprintf(text, sizeof(text), "%s", cases[i].text);
		str_printable(text);
		assert_string_equal(text, cases[i].shown);
		assert_true(str_utf8_valid(text, strlen(text)));
	}
}

static void
test_number(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		unsigned long min, max;
		bool good;
		unsigned long value;
	} cases[] = {
		{"0", 0, 9, true, 0},
		{"9", 1, 9, true, 9},
		{"007", 1, 9, true, 7},
		{"10", 1, 9, false, 0},
		{"0", 1, 9, false, 0},
		{"", 0, 9, false, 0},
		{" 1", 0, 9, false, 0},
		{"+1", 0, 9, false, 0},
		{"-1", 0, 9, false, 0},
		{"1 ", 0, 9, false, 0},
		{"1x", 0, 9, false, 0},
		{"0x1", 0, 99, false, 0},
		{"18446744073709551615", 0, ~0ul, true, ~0ul},
		{"18446744073709551616", 0, ~0ul, false, 0},
		{"99999999999999999999999", 0, ~0ul, false, 0},
	};
	for (size_t i = 0; i < COUNT(cases); i++) {
		unsigned long out = 4711;
		assert_int_equal(str_number(cases[i].text, cases[i].min, cases[i].max, &out), cases[i].good);
		assert_int_equal(out, cases[i].good ? cases[i].value : 4711);
	}
}

static void
test_format(void **state)
{
	(void)state;
	char *text = str_format("%d %s", 7, "cats");
	assert_string_equal(text, "7 cats");
	free(text);
}

/* A sentence may be made of itself, is cut between characters and holds nothing that a terminal obeys. */
static void
test_why(void **state)
{
	(void)state;
	struct why why;
	char text[2 * WHY_BYTES + 99];
	assert_int_equal(why_set(&why, -3, "it is %s", "empty"), -3);
	assert_int_equal(why_set(&why, -4, "a.png: %s", why.text), -4);
	assert_string_equal(why.text, "a.png: it is empty");
	for (size_t shift = 0; shift < 3; shift++) {
		memset(text, 'a', shift);
		for (size_t at = shift; at + 4 < sizeof(text); at += 3)
			memcpy(text + at, "\xe2\x82\xac", 4);
		why_set(&why, 0, "%s", text);
		assert_true(str_utf8_valid(why.text, strlen(why.text)));
		assert_in_range(strlen(why.text), WHY_BYTES - 4, WHY_BYTES - 1);
	}
	why_set(&why, 0, "%s", "\x1b]0;title\x07 \xff");
	assert_string_equal(why.text, "?]0;title? ?");
}

static void
keep_line(void *user, int level, const char *line)
{
	snprintf(user, LOG_LINE + 16, "%d %s", level, line);
}

static void
test_log(void **state)
{
	(void)state;
	char got[LOG_LINE + 16], text[2 * LOG_LINE];
	struct log log = {.sink = keep_line, .user = got};
	log_line(&log, LOG_WARN, "%s\n%s", "two", "lines\x1b");
	assert_string_equal(got, "1 two lines?");
	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	log_line(&log, LOG_DEBUG, "%s", text);
	assert_int_equal(strlen(got), 2 + LOG_LINE - 1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_utf8_short), cmocka_unit_test(test_utf8_all_characters),
		cmocka_unit_test(test_utf8_edges), cmocka_unit_test(test_cut),
		cmocka_unit_test(test_copy),       cmocka_unit_test(test_printable),
		cmocka_unit_test(test_number),     cmocka_unit_test(test_format),
		cmocka_unit_test(test_why),        cmocka_unit_test(test_log),
	};
	return cmocka_run_group_tests_name("str", tests, NULL, NULL);
}
