/* test_lm.c - the pure half of scry-llama: text from tokens' bytes, frames remembered, answers and their spellings. */
#include "unit.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "engine/lm_cache.h"
#include "engine/lm_choice.h"
#include "engine/lm_text.h"

/* --- text --------------------------------------------------------------------------------------------------- */

/* Bytes in pieces, separated by '|', and the text that comes of them. */
static const struct {
	const char *pieces, *text;
} texts[] = {
	{"A |cat|.", "A cat."},
	{" A", "A"},
	{"\n| |A b", "A b"},
	{"\xf0|\x9f\x98|\x80", "\xf0\x9f\x98\x80"},
	{"a\xc3|\xa9|z", "a\xc3\xa9z"},
	{"a\xc3", "a\xef\xbf\xbd"},
	{"a\xc3|b",
     "a\xef\xbf\xbd"
     "b"},
	{"\xff"
     "a",
     "\xef\xbf\xbd"
     "a"},
	{"\xe2\x82", "\xef\xbf\xbd"},
	{"\xed\xa0\x80", "\xef\xbf\xbd"},     /* a surrogate */
	{"\xf4\x90\x80\x80", "\xef\xbf\xbd"}, /* past the last character */
	{"", ""},
};

static void
test_text(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(texts); i++) {
		struct lm_text text = {0};
		char all[512] = "", out[LM_TEXT_OUT];
		for (const char *at = texts[i].pieces; *at != '\0';) {
			size_t n = strcspn(at, "|");
			size_t written = lm_text_add(&text, at, n, out);
			assert_int_equal(written, strlen(out));
			assert_true(str_utf8_valid(out, written));
			strcat(all, out);
			at += n + (at[n] == '|');
		}
		lm_text_end(&text, out);
		strcat(all, out);
		assert_string_equal(all, texts[i].text);
		assert_int_equal(text.any, all[0] != '\0');
	}
}

/* Any bytes become valid UTF-8, in the room that is promised. */
static void
test_text_any(void **state)
{
	(void)state;
	srand(7);
	for (int round = 0; round < 2000; round++) {
		struct lm_text text = {0};
		for (int piece = 0; piece < 4; piece++) {
			char bytes[LM_TEXT_PIECE], out[LM_TEXT_OUT];
			size_t n = (size_t)rand() % sizeof(bytes);
			for (size_t i = 0; i < n; i++)
				bytes[i] = (char)(rand() % 4 == 0 ? rand() : 0x80 | rand());
			size_t written = lm_text_add(&text, bytes, n, out);
			assert_true(written < sizeof(out));
			assert_true(str_utf8_valid(out, written));
		}
	}
}

static void
test_no_thinking(void **state)
{
	(void)state;
	static const char chatml[] = "<|im_start|>user\nx<|im_end|>\n<|im_start|>assistant\n";
	assert_string_equal(lm_no_thinking("... <think> ...", chatml), "<think>\n\n</think>\n\n");
	assert_string_equal(lm_no_thinking("no thoughts", chatml), "");
	assert_string_equal(lm_no_thinking(NULL, chatml), "");
	assert_string_equal(lm_no_thinking("<think>", "USER: x ASSISTANT:"), "");
}

/* --- frames ------------------------------------------------------------------------------------------------- */

static void
test_cache(void **state)
{
	(void)state;
	struct lm_cache cache;
	lm_cache_init(&cache, 1000);
	for (uint64_t key = 1; key <= LM_CACHE_FRAMES; key++)
		assert_non_null(lm_cache_take(&cache, key));
	assert_non_null(lm_cache_find(&cache, 1));
	assert_null(lm_cache_find(&cache, 99));
	/* The one that was used least recently goes: 2, since 1 was just looked for. */
	lm_cache_take(&cache, 99);
	assert_non_null(lm_cache_find(&cache, 1));
	assert_null(lm_cache_find(&cache, 2));
	lm_cache_clear(&cache);
	assert_null(lm_cache_find(&cache, 1));
	assert_int_equal(lm_cache_bytes(&cache), 0);
}

static void
test_cache_bytes(void **state)
{
	(void)state;
	struct lm_cache cache;
	lm_cache_init(&cache, 1000);
	struct lm_frame *one = lm_cache_take(&cache, 1);
	assert_null(lm_cache_embeddings(&cache, one, 1001));
	assert_non_null(lm_cache_embeddings(&cache, one, 100));
	assert_non_null(lm_cache_state(&cache, one, 400));
	struct lm_frame *two = lm_cache_take(&cache, 2);
	assert_non_null(lm_cache_embeddings(&cache, two, 100));
	assert_non_null(lm_cache_state(&cache, two, 400));
	assert_int_equal(lm_cache_bytes(&cache), 1000);
	/* A third one takes the state of the first over, not its embeddings. */
	struct lm_frame *three = lm_cache_take(&cache, 3);
	uint8_t *first_state = one->state;
	assert_ptr_equal(lm_cache_state(&cache, three, 380), first_state);
	assert_null(one->state);
	assert_non_null(one->embeddings);
	assert_non_null(two->state);
	assert_true(lm_cache_bytes(&cache) <= 1000);
	/* Embeddings that need the room of everything but themselves. */
	assert_non_null(lm_cache_embeddings(&cache, three, 590));
	assert_non_null(three->state);
	assert_true(lm_cache_bytes(&cache) <= 1000);
	assert_null(lm_cache_find(&cache, 1) != NULL ? one->state : NULL);
	lm_cache_clear(&cache);
}

/* However it is used, it holds no more than it may, and what it hands out is where it says. */
static void
test_cache_any(void **state)
{
	(void)state;
	struct lm_cache cache;
	lm_cache_init(&cache, 5000);
	srand(3);
	for (int i = 0; i < 20000; i++) {
		struct lm_frame *frame = lm_cache_take(&cache, (uint64_t)(rand() % 12));
		size_t bytes = 1 + (size_t)rand() % 1500;
		if (rand() % 2 == 0 && lm_cache_embeddings(&cache, frame, bytes) != NULL)
			memset(frame->embeddings, 1, frame->embedding_bytes);
		else if (lm_cache_state(&cache, frame, bytes) != NULL)
			memset(frame->state, 2, frame->state_bytes);
		assert_true(lm_cache_bytes(&cache) <= 5000);
		assert_true(frame->state_bytes <= frame->state_room);
	}
	lm_cache_clear(&cache);
}

/* --- answers ------------------------------------------------------------------------------------------------ */

static void
test_choices(void **state)
{
	(void)state;
	struct lm_choice choices[LM_CHOICES];
	assert_int_equal(lm_choices("Yes\nNo", choices), 2);
	assert_string_equal(choices[0].text, "Yes");
	assert_int_equal(choices[0].spelling_count, 6); /* Yes yes YES, with and without a space */
	assert_int_equal(lm_choices("A\nB\n", choices), 2);
	assert_int_equal(choices[0].spelling_count, 4);
	assert_int_equal(lm_choices("\xc3\xa9t\xc3\xa9\nhiver", choices), 2);
	assert_true(str_utf8_valid(choices[0].spellings[1], strlen(choices[0].spellings[1])));
	static const char *const bad[] = {"", "Yes", "Yes\nyes", "Yes\n\nNo", "\n"};
	for (size_t i = 0; i < COUNT(bad); i++)
		assert_int_equal(lm_choices(bad[i], choices), 0);
	char many[LM_CHOICES * 4 + 8] = "", longest[2 * LM_CHOICE_BYTES] = "a\n";
	for (int i = 0; i <= LM_CHOICES; i++)
		sprintf(many + strlen(many), "%d\n", i);
	assert_int_equal(lm_choices(many, choices), 0);
	memset(longest + 2, 'x', LM_CHOICE_BYTES);
	assert_int_equal(lm_choices(longest, choices), 0);
	longest[LM_CHOICE_BYTES + 1] = '\0';
	assert_int_equal(lm_choices(longest, choices), 2);
}

static void
test_normalise(void **state)
{
	(void)state;
	struct lm_choice choices[3] = {{.log_p = log(0.2)}, {.log_p = log(0.1)}, {.log_p = -INFINITY}};
	lm_choices_normalise(choices, 3);
	assert_true(fabs(choices[0].p - 2.0 / 3) < 1e-12 && fabs(choices[1].p - 1.0 / 3) < 1e-12 && choices[2].p == 0);
	struct lm_choice none[2] = {{.log_p = -INFINITY}, {.log_p = -INFINITY}};
	lm_choices_normalise(none, 2);
	assert_true(none[0].p == 0.5 && none[1].p == 0.5);
	struct lm_choice far[2] = {{.log_p = -1e6}, {.log_p = -1e6 - 1}};
	lm_choices_normalise(far, 2);
	assert_true(fabs(far[0].p - 1 / (1 + exp(-1))) < 1e-9);
	assert_true(fabs(lm_log_add(log(0.25), log(0.5)) - log(0.75)) < 1e-12);
	assert_true(isinf(lm_log_add(-INFINITY, -INFINITY)));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_text),    cmocka_unit_test(test_text_any),    cmocka_unit_test(test_no_thinking),
		cmocka_unit_test(test_cache),   cmocka_unit_test(test_cache_bytes), cmocka_unit_test(test_cache_any),
		cmocka_unit_test(test_choices), cmocka_unit_test(test_normalise),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
