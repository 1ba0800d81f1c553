/* test_registry.c - which backend is chosen, for facts made up for the purpose, and what is said about it. */
#include "unit.h"

#include <string.h>

#include "backend/registry.h"
#include "scry.h"

#define ALL                                                                                                            \
	{                                                                                                                  \
		.ram_mb = 16000, .vram_mb = 8000, .worker = {[BACKEND_LITE] = true, [BACKEND_FAKE] = true},                    \
		.lite_objects = true, .lite_faces = true, .lite_text = true                                                    \
	}
#define BARE                                                                                                           \
	{                                                                                                                  \
		.ram_mb = 512                                                                                                  \
	}
#define ONLY_TEXT                                                                                                      \
	{                                                                                                                  \
		.ram_mb = 1500, .worker = {[BACKEND_LITE] = true}, .lite_text = true                                           \
	}
#define ENV(value)                                                                                                     \
	{                                                                                                                  \
		.ram_mb = 512, .wanted_by_env = value, .env_name = "SCRY_VISION_BACKEND"                                       \
	}

static const struct row {
	struct backend_facts facts;
	const char *wanted;
	int error;
	enum backend_id id;
	unsigned steps;
	const char *last_rule, *sentence;
} rows[] = {
	/* automatic: the first available one, every step told */
	{ALL, NULL, 0, BACKEND_LITE, 7, "lite", NULL},
	{ALL, "auto", 0, BACKEND_LITE, 7, "lite", NULL},
	{ALL, "", 0, BACKEND_LITE, 7, "lite", NULL},
	{ONLY_TEXT, NULL, 0, BACKEND_LITE, 7, "lite", NULL},
	{BARE, NULL, 0, BACKEND_NONE, 8, "none", NULL},
	/* named: that one or none at all */
	{ALL, "lite", 0, BACKEND_LITE, 1, "named: lite", NULL},
	{ALL, "none", 0, BACKEND_NONE, 1, "named: none", NULL},
	{ALL, "fake", 0, BACKEND_FAKE, 1, "named: fake", NULL},
	{BARE, "none", 0, BACKEND_NONE, 1, "named: none", NULL},
	{BARE, "lite", SCRY_E_UNAVAILABLE, 0, 1, "named: lite", "backend lite cannot be used: its worker scry-lite"},
	{BARE, "fake", SCRY_E_UNAVAILABLE, 0, 1, "named: fake", "not built"},
	{ALL, "clip", SCRY_E_UNAVAILABLE, 0, 1, "named: clip", "backend clip cannot be used: not built yet"},
	{ALL, "qwen08b", SCRY_E_UNAVAILABLE, 0, 1, "named: qwen08b", "scry-llama is not installed"},
	{ALL, "qwen3vl", SCRY_E_UNAVAILABLE, 0, 1, "named: qwen3vl", "not built yet"},
	{ALL, "minicpm", SCRY_E_UNAVAILABLE, 0, 1, "named: minicpm", "scry-llama is not installed"},
	{ALL, "mobilevlm", SCRY_E_UNAVAILABLE, 0, 1, "named: mobilevlm", "not built yet"},
	/* an unknown name lists the names, without the test double */
	{ALL, "Lite", SCRY_E_ARGUMENT, 0, 1, "named: Lite",
     "\"Lite\"; there are qwen08b, qwen3vl, minicpm, mobilevlm, clip, lite, none, demo-vlm, gguf, and auto"},
	{ALL, "lite ", SCRY_E_ARGUMENT, 0, 1, "named: lite ", "no backend is called"},
	/* the environment is asked when nobody named one */
	{ENV("none"), NULL, 0, BACKEND_NONE, 1, "SCRY_VISION_BACKEND=none", NULL},
	{ENV("none"), "auto", 0, BACKEND_NONE, 1, "SCRY_VISION_BACKEND=none", NULL},
	{ENV("none"), "lite", SCRY_E_UNAVAILABLE, 0, 1, "named: lite", "cannot be used"},
	{ENV("bogus"), NULL, SCRY_E_ARGUMENT, 0, 1, "SCRY_VISION_BACKEND=bogus", "no backend is called \"bogus\""},
	{ENV("clip"), NULL, SCRY_E_UNAVAILABLE, 0, 1, "SCRY_VISION_BACKEND=clip", "not built yet"},
	{ENV("auto"), NULL, 0, BACKEND_NONE, 8, "none", NULL},
	{ENV(""), NULL, 0, BACKEND_NONE, 8, "none", NULL},
};

static void
test_select(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct backend_choice choice = {.id = BACKEND_COUNT};
		struct why why = {"before"};
		int error = backend_select(rows[i].wanted, &rows[i].facts, &choice, &why);
		assert_int_equal(error, rows[i].error);
		assert_int_equal(choice.step_count, rows[i].steps);
		const struct backend_step *last = &choice.steps[choice.step_count - 1];
		assert_string_equal(last->rule, rows[i].last_rule);
		assert_int_equal(last->chosen, error == 0);
		for (unsigned s = 0; s < choice.step_count; s++) {
			assert_true(choice.steps[s].reason[0] != '\0');
			assert_int_equal(choice.steps[s].chosen, error == 0 && s + 1 == choice.step_count);
		}
		if (error == 0)
			assert_int_equal(choice.id, rows[i].id);
		else if (strstr(why.text, rows[i].sentence) == NULL)
			fail_msg("row %zu: \"%s\" lacks \"%s\"", i, why.text, rows[i].sentence);
	}
}

/* The steps that ask about the machine say what it has. */
static void
test_machine_steps(void **state)
{
	(void)state;
	static const struct {
		uint64_t ram_mb, vram_mb;
		const char *minicpm, *mobilevlm, *clip;
	} cases[] = {
		{1023, 4095, "this machine has 4095 MB of VRAM", "this machine has 1023 MB of RAM",
	     "this machine has 1023 MB of RAM"},
		{1024, 4096, "scry-llama is not", "this machine has 1024 MB of RAM", "not built yet"},
		{2047, 0, "this machine has 0 MB of VRAM", "this machine has 2047 MB of RAM", "not built yet"},
		{2048, UINT64_MAX, "scry-llama is not", "not built yet", "not built yet"},
	};
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct backend_facts facts = {.ram_mb = cases[i].ram_mb, .vram_mb = cases[i].vram_mb};
		struct backend_choice choice;
		struct why why;
		assert_int_equal(backend_select(NULL, &facts, &choice, &why), 0);
		assert_string_equal(choice.steps[2].rule, "VRAM >= 4 GB: minicpm");
		assert_string_equal(choice.steps[3].rule, "RAM >= 2 GB: mobilevlm");
		assert_string_equal(choice.steps[4].rule, "RAM >= 1 GB: clip");
		assert_non_null(strstr(choice.steps[2].reason, cases[i].minicpm));
		assert_non_null(strstr(choice.steps[3].reason, cases[i].mobilevlm));
		assert_non_null(strstr(choice.steps[4].reason, cases[i].clip));
	}
}

/* Each mix of lite's parts: usable when it sees or reads, and the sentence names what is missing. */
static void
test_lite_parts(void **state)
{
	(void)state;
	for (unsigned mask = 0; mask < 16; mask++) {
		struct backend_facts facts = {.worker = {[BACKEND_LITE] = (mask & 8) != 0},
		                              .lite_objects = (mask & 1) != 0,
		                              .lite_faces = (mask & 2) != 0,
		                              .lite_text = (mask & 4) != 0};
		struct why why = {""};
		bool available = backend_available(BACKEND_LITE, &facts, &why);
		bool models = (mask & 3) == 3, text = (mask & 4) != 0;
		assert_int_equal(available, (mask & 8) != 0 && (mask & 7) != 0);
		if ((mask & 8) == 0) {
			assert_non_null(strstr(why.text, "scry-lite is not installed"));
			continue;
		}
		assert_int_equal(strstr(why.text, "ready") != NULL, models && text);
		assert_int_equal(strstr(why.text, "tesseract-ocr-eng") != NULL, !text);
		if (!models && (text || (mask & 3) == 0))
			assert_non_null(strstr(why.text, "scry pull lite"));
	}
}

static void
test_table(void **state)
{
	(void)state;
	static const char *const names[] = {"qwen08b", "qwen3vl", "minicpm",  "mobilevlm", "clip",
	                                    "lite",    "none",    "demo-vlm", "gguf",      "fake"};
	assert_int_equal(COUNT(names), BACKEND_COUNT);
	assert_int_equal(BACKEND_ROWS, BACKEND_COUNT - 1);
	for (int i = 0; i < BACKEND_COUNT; i++) {
		const struct backend *backend = backend_get((enum backend_id)i);
		assert_string_equal(backend->name, names[i]);
		assert_int_equal(backend_find(names[i]), i);
		assert_non_null(backend->title);
		assert_int_equal(backend->program != NULL, backend->runner == RUN_ENGINE);
		if (backend->runner != RUN_NOT_BUILT)
			assert_true(backend->max_width > 0 && backend->max_height > 0);
	}
	assert_int_equal(backend_find(""), -1);
	assert_int_equal(backend_find("auto"), -1);
}

/* Very long names end up in fixed rooms. */
static void
test_long_names(void **state)
{
	(void)state;
	char name[5000];
	memset(name, 'x', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	struct backend_facts facts = {.wanted_by_env = name, .env_name = "HEVOLVE_VISION_BACKEND"};
	struct backend_choice choice;
	struct why why;
	assert_int_equal(backend_select(name, &facts, &choice, &why), SCRY_E_ARGUMENT);
	assert_int_equal(backend_select(NULL, &facts, &choice, &why), SCRY_E_ARGUMENT);
	assert_true(strlen(choice.steps[0].rule) < sizeof(choice.steps[0].rule));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_select), cmocka_unit_test(test_machine_steps), cmocka_unit_test(test_lite_parts),
		cmocka_unit_test(test_table),  cmocka_unit_test(test_long_names),
	};
	return cmocka_run_group_tests_name("registry", tests, NULL, NULL);
}
