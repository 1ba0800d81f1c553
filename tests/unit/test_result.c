/* test_result.c - what was seen, as text, labels and JSON; and the JSON without memory, allocation by allocation. */
#include "unit.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/result.h"

static void
add(struct scry_result *result, enum proto_item_kind kind, float score, float x, const char *text)
{
	struct proto_item item = {.kind = kind, .score = score, .x = x, .y = 0.25f, .width = 0.5f, .height = 0.125f};
	snprintf(item.text, sizeof(item.text), "%s", text);
	assert_true(result_add_item(result, &item));
}

static struct scry_result *
make_result(void)
{
	struct scry_result *result = result_create("lite");
	assert_non_null(result);
	result->width = 640;
	result->height = 480;
	result->hash = 0xabc;
	result->us.decode = 1500;
	result->us.total = 123456789;
	result->worker_count = 2;
	strcpy(result->workers[0].program, "scry-eye");
	strcpy(result->workers[1].program, "scry-lite");
	strcpy(result->workers[1].model, "SSD");
	result->workers[0].sandbox = 31;
	assert_true(result_add_text(result, "A cat", 5));
	assert_true(result_add_text(result, " \"here\".\n ", 10));
	add(result, PROTO_ITEM_OBJECT, 0.5f, 0.5f, "Cat");
	add(result, PROTO_ITEM_FACE, 0.9f, 0, "");
	add(result, PROTO_ITEM_WORD, 0.85f, 0, "EXIT");
	add(result, PROTO_ITEM_COLOR, 0.25f, 0, "red");
	add(result, PROTO_ITEM_PICTURE, 1, 0, "photo");
	add(result, PROTO_ITEM_BRIGHTNESS, 0.125f, 0, "");
	return result;
}

static void
test_labels(void **state)
{
	(void)state;
	struct scry_result *result = make_result();
	for (int i = 0; i < 100; i++)
		add(result, PROTO_ITEM_LABEL, 0.1f, 0, "thing");
	assert_true(result_complete(result));
	assert_string_equal(result->text, "A cat \"here\".");
	assert_int_equal(result->label_count, 102);
	assert_string_equal(result->labels[0].label, "face");
	assert_string_equal(result->labels[1].label, "Cat");
	assert_true(result->labels[1].x == 320 && result->labels[1].y == 120 && result->labels[1].width == 320 &&
	            result->labels[1].height == 60);
	result_destroy(result);
	result_destroy(NULL);
}

static void
test_empty(void **state)
{
	(void)state;
	struct scry_result *result = result_create("none");
	assert_true(result_complete(result));
	assert_string_equal(result->text, "");
	json_t *document = json_loads(result_json(result), 0, NULL);
	assert_non_null(document);
	assert_string_equal(json_string_value(json_object_get(document, "text")), "");
	assert_int_equal(json_array_size(json_object_get(document, "labels")), 0);
	assert_null(json_object_get(document, "words"));
	assert_null(json_object_get(document, "picture"));
	assert_null(json_object_get(document, "colors"));
	json_decref(document);
	result_destroy(result);
}

static const char expected[] =
	"{\"backend\":\"lite\",\"model\":\"SSD\",\"text\":\"A cat \\\"here\\\".\",\"labels\":[{\"label\":\"face\",\"p\":0.9,"
	"\"box\":[0.0,120.0,320.0,60.0]},{\"label\":\"Cat\",\"p\":0.5,\"box\":[320.0,120.0,320.0,60.0]}],\"finish\":\"stop\","
	"\"frame\":{\"width\":640,\"height\":480,\"hash\":\"0000000000000abc\"},\"usage\":{\"image_tokens\":0,"
	"\"prompt_tokens\":0,\"tokens\":0,\"drafted\":0},\"timings_ms\":{\"decode\":1.5,\"queue\":0.0,\"load\":0.0,\"encode\":0.0,"
	"\"prompt\":0.0,\"generate\":0.0,\"total\":123456.789},\"workers\":{\"scry-eye\":{\"sandbox\":[\"no_new_privs\","
	"\"limits\",\"files\",\"network\",\"syscalls\"]},\"scry-lite\":{\"sandbox\":[]}},\"words\":[{\"text\":\"EXIT\","
	"\"p\":0.85,\"box\":[0.0,120.0,320.0,60.0]}],\"picture\":{\"kind\":\"photo\",\"p\":1.0,\"brightness\":0.125},"
	"\"colors\":[{\"name\":\"red\",\"share\":0.25}]}";

static void
test_json(void **state)
{
	(void)state;
	struct scry_result *result = make_result();
	assert_true(result_complete(result));
	const char *json = result_json(result);
	assert_string_equal(json, expected);
	assert_ptr_equal(result_json(result), json); /* made once */
	result_destroy(result);
}

/* --- without memory --------------------------------------------------------------------------------------- */

static size_t allocations, allowed;
static long balance;

static void *
failing_malloc(size_t size)
{
	if (++allocations > allowed)
		return NULL;
	balance++;
	return malloc(size);
}

static void
counting_free(void *memory)
{
	balance -= memory != NULL;
	free(memory);
}

/* The document is whole or it is not there, and nothing of it stays behind. */
static void
test_json_without_memory(void **state)
{
	(void)state;
	const char *json = NULL;
	struct scry_result *result = make_result();
	assert_true(result_complete(result));
	for (allowed = 0; json == NULL; allowed++) {
		json_set_alloc_funcs(failing_malloc, counting_free);
		allocations = 0;
		balance = 0;
		json = result_json(result);
		json_set_alloc_funcs(malloc, free);
		if (json == NULL)
			assert_int_equal(balance, 0);
		else
			assert_string_equal(json, expected);
		assert_true(allowed < 10000);
	}
	assert_true(allowed > 50);
	assert_int_equal(balance, 1); /* the text */
	result_destroy(result);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_labels), cmocka_unit_test(test_empty),
	                                   cmocka_unit_test(test_json), cmocka_unit_test(test_json_without_memory)};
	return cmocka_run_group_tests_name("result", tests, NULL, NULL);
}
