/* schema.c - see schema.h. Each schema becomes one rule; rules are written as they are finished, callees first. */
#include "engine/schema.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fd.h"
#include "base/str.h"
#include "scry.h"

#define RANGE_MAX 1000 /* integers of a range that is written out */
#define DEFINITIONS 64

struct writer {
	FILE *out; /* finished rules */
	const json_t *root;
	unsigned rules;
	unsigned depth;
	const char *defined[DEFINITIONS]; /* $ref targets met so far: definition N is rule dN */
	unsigned defined_count, defined_written;
	struct why *why;
};

static int write_schema(struct writer *w, const json_t *schema, const char *at, FILE *expression);

static int
refuse(struct writer *w, const char *at, const char *format, const char *what)
{
	char text[160];
	snprintf(text, sizeof(text), format, what);
	return why_set(w->why, SCRY_E_ARGUMENT, "the schema at %s: %s", at[0] != '\0' ? at : "its top", text);
}

/* A GBNF string literal of these bytes. */
static void
write_literal(FILE *out, const char *text)
{
	fputc('"', out);
	for (; *text != '\0'; text++) {
		unsigned char c = (unsigned char)*text;
		if (c == '"' || c == '\\')
			fprintf(out, "\\%c", c);
		else if (c < 0x20)
			fprintf(out, "\\x%02X", c);
		else
			fputc(c, out);
	}
	fputc('"', out);
}

static int
write_value(struct writer *w, const json_t *value, FILE *out)
{
	_cleanup_free_ char *text = json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT);
	if (text == NULL)
		return why_set(w->why, SCRY_E_MEMORY, "out of memory");
	write_literal(out, text);
	return 0;
}

/* --- keywords ---------------------------------------------------------------------------------------------- */

static int
check_keywords(struct writer *w, const json_t *schema, const char *at)
{
	static const char *const known[] = {"type",      "enum",
	                                    "const",     "properties",
	                                    "required",  "items",
	                                    "minItems",  "maxItems",
	                                    "minLength", "maxLength",
	                                    "minimum",   "maximum",
	                                    "anyOf",     "oneOf",
	                                    "$ref",      "$defs",
	                                    "title",     "default",
	                                    "$schema",   "examples",
	                                    "$id",       "description",
	                                    "format",    "definitions",
	                                    "$comment",  "additionalProperties"};
	const char *key;
	json_t *value;
	json_object_foreach ((json_t *)schema, key, value) {
		size_t i = 0;
		while (i < sizeof(known) / sizeof(known[0]) && strcmp(known[i], key) != 0)
			i++;
		if (i == sizeof(known) / sizeof(known[0]))
			return refuse(w, at, "\"%.40s\" is not understood, and leaving it out would break its promise", key);
	}
	return 0;
}

/* A whole number of the schema, or `otherwise`. */
static int
number_of(struct writer *w, const json_t *schema, const char *at, const char *key, json_int_t max, json_int_t *value)
{
	const json_t *number = json_object_get(schema, key);
	if (number == NULL)
		return 0;
	if (!json_is_integer(number) || json_integer_value(number) < 0 || json_integer_value(number) > max)
		return refuse(w, at, "\"%s\" is not a whole number in range", key);
	*value = json_integer_value(number);
	return 0;
}

/* --- the types --------------------------------------------------------------------------------------------- */

static int
write_string(struct writer *w, const json_t *schema, const char *at, FILE *out)
{
	json_int_t min = 0, max = SCHEMA_STRING_MAX;
	int error = number_of(w, schema, at, "minLength", 4096, &min);
	if (error == 0 && min > max)
		max = min;
	if (error == 0)
		error = number_of(w, schema, at, "maxLength", 4096, &max);
	if (error == 0 && min > max)
		error = refuse(w, at, "%s", "minLength is more than maxLength");
	fprintf(out, "\"\\\"\" char{%d,%d} \"\\\"\"", (int)min, (int)max);
	return error;
}

static int
write_integer(struct writer *w, const json_t *schema, const char *at, FILE *out)
{
	const json_t *min = json_object_get(schema, "minimum"), *max = json_object_get(schema, "maximum");
	if (min == NULL && max == NULL) {
		fputs("integer", out);
		return 0;
	}
	if (!json_is_integer(min) || !json_is_integer(max))
		return refuse(w, at, "%s", "an integer's range needs both minimum and maximum, whole numbers");
	json_int_t from = json_integer_value(min), to = json_integer_value(max);
	if (from > to || to - from >= RANGE_MAX || from < -1000000 || to > 1000000)
		return refuse(w, at, "%s", "a range of more than 1000 integers cannot be held to");
	fputc('(', out);
	for (json_int_t i = from; i <= to; i++)
		fprintf(out, "%s\"%lld\"", i == from ? "" : " | ", (long long)i);
	fputc(')', out);
	return 0;
}

static int
write_number(struct writer *w, const json_t *schema, const char *at, FILE *out)
{
	if (json_object_get(schema, "minimum") != NULL || json_object_get(schema, "maximum") != NULL)
		return refuse(w, at, "%s", "the range of a number with decimals cannot be held to; use an integer");
	fputs("number", out);
	return 0;
}

static int
write_array(struct writer *w, const json_t *schema, const char *at, FILE *out)
{
	char below[128];
	json_int_t min = 0, max = SCHEMA_ITEMS_MAX;
	const json_t *items = json_object_get(schema, "items");
	int error = number_of(w, schema, at, "minItems", 1000, &min);
	if (error == 0 && min > max)
		max = min;
	if (error == 0)
		error = number_of(w, schema, at, "maxItems", 1000, &max);
	if (error < 0)
		return error;
	if (!json_is_object(items))
		return refuse(w, at, "%s", "an array needs \"items\"");
	if (min > max)
		return refuse(w, at, "%s", "minItems is more than maxItems");
	if (max == 0) {
		fputs("\"[]\"", out);
		return 0;
	}
	snprintf(below, sizeof(below), "%.100s/items", at);
	fputs(min == 0 ? "(\"[]\" | \"[\" " : "(\"[\" ", out);
	error = write_schema(w, items, below, out);
	if (error == 0 && max > 1) {
		fputs(" (\",\" space ", out);
		error = write_schema(w, items, below, out);
		fprintf(out, "){%d,%d}", (int)(min > 1 ? min - 1 : 0), (int)max - 1);
	}
	fputs(" \"]\")", out);
	return error;
}

static int
check_required(struct writer *w, const json_t *schema, const char *at)
{
	const json_t *required = json_object_get(schema, "required"), *properties = json_object_get(schema, "properties");
	if (required != NULL && !json_is_array(required))
		return refuse(w, at, "%s", "\"required\" is not a list");
	for (size_t i = 0; i < json_array_size(required); i++) {
		const char *name = json_string_value(json_array_get(required, i));
		if (name == NULL || json_object_get(properties, name) == NULL)
			return refuse(w, at, "\"%.40s\" is required, but is none of the properties", name != NULL ? name : "?");
	}
	return 0;
}

static int
write_object(struct writer *w, const json_t *schema, const char *at, FILE *out)
{
	json_t *properties = json_object_get(schema, "properties"), *value;
	const char *key, *before = "";
	int error = check_required(w, schema, at);
	if (error < 0)
		return error;
	if (properties != NULL && !json_is_object(properties))
		return refuse(w, at, "%s", "\"properties\" is not an object");
	if (json_object_size(properties) == 0) {
		fputs("\"{}\"", out);
		return 0;
	}
	fputs("\"{\" ", out);
	json_object_foreach (properties, key, value) {
		char below[128];
		json_t *name = json_string(key);
		snprintf(below, sizeof(below), "%.60s/properties/%.40s", at, key);
		fputs(before, out);
		error = name == NULL ? SCRY_E_MEMORY : write_value(w, name, out);
		json_decref(name);
		fputs(" \":\" space ", out);
		if (error == 0)
			error = write_schema(w, value, below, out);
		if (error < 0)
			return error;
		before = " \",\" space ";
	}
	fputs(" \"}\"", out);
	return 0;
}

static int
write_type(struct writer *w, const json_t *schema, const char *type, const char *at, FILE *out)
{
	static const struct {
		const char *name;
		int (*write)(struct writer *w, const json_t *schema, const char *at, FILE *out);
		const char *rule;
	} types[] = {{"string", write_string, NULL}, {"integer", write_integer, NULL}, {"number", write_number, NULL},
	             {"array", write_array, NULL},   {"object", write_object, NULL},   {"boolean", NULL, "boolean"},
	             {"null", NULL, "\"null\""}};
	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
		if (strcmp(type, types[i].name) != 0)
			continue;
		if (types[i].write != NULL)
			return types[i].write(w, schema, at, out);
		fputs(types[i].rule, out);
		return 0;
	}
	return refuse(w, at, "there is no type \"%.40s\"", type);
}

/* --- alternatives and references --------------------------------------------------------------------------- */

static int
write_alternatives(struct writer *w, const json_t *list, const char *at, bool schemas, FILE *out)
{
	if (!json_is_array(list) || json_array_size(list) == 0)
		return refuse(w, at, "%s", "a list of alternatives is empty or no list");
	fputc('(', out);
	for (size_t i = 0; i < json_array_size(list); i++) {
		const json_t *one = json_array_get(list, i);
		fputs(i > 0 ? " | " : "", out);
		int error = schemas ? write_schema(w, one, at, out) : write_value(w, one, out);
		if (error < 0)
			return error;
	}
	fputc(')', out);
	return 0;
}

static int
write_types(struct writer *w, const json_t *schema, const json_t *types, const char *at, FILE *out)
{
	if (json_array_size(types) == 0)
		return refuse(w, at, "%s", "\"type\" is an empty list");
	fputc('(', out);
	for (size_t i = 0; i < json_array_size(types); i++) {
		const char *type = json_string_value(json_array_get(types, i));
		fputs(i > 0 ? " | " : "", out);
		int error = type == NULL ? refuse(w, at, "%s", "a type is no string") : write_type(w, schema, type, at, out);
		if (error < 0)
			return error;
	}
	fputc(')', out);
	return 0;
}

static const json_t *
definition(const struct writer *w, const char *reference)
{
	if (strncmp(reference, "#/$defs/", 8) == 0)
		return json_object_get(json_object_get(w->root, "$defs"), reference + 8);
	if (strncmp(reference, "#/definitions/", 14) == 0)
		return json_object_get(json_object_get(w->root, "definitions"), reference + 14);
	return NULL;
}

/* A definition is a rule of its own, so that it may speak of itself; schema_grammar() writes those met. */
static int
write_reference(struct writer *w, const char *reference, const char *at, FILE *out)
{
	unsigned i = 0;
	if (reference == NULL || !json_is_object(definition(w, reference)))
		return refuse(w, at, "the reference \"%.60s\" leads nowhere in it", reference != NULL ? reference : "?");
	while (i < w->defined_count && strcmp(w->defined[i], reference) != 0)
		i++;
	if (i == DEFINITIONS)
		return refuse(w, at, "%s", "too many definitions");
	if (i == w->defined_count)
		w->defined[w->defined_count++] = reference;
	fprintf(out, "d%u", i);
	return 0;
}

static int
write_any(struct writer *w, const json_t *schema, const char *at, FILE *out)
{
	const json_t *type = json_object_get(schema, "type"), *value;
	if ((value = json_object_get(schema, "$ref")) != NULL)
		return write_reference(w, json_string_value(value), at, out);
	if ((value = json_object_get(schema, "const")) != NULL)
		return write_value(w, value, out);
	if ((value = json_object_get(schema, "enum")) != NULL)
		return write_alternatives(w, value, at, false, out);
	if ((value = json_object_get(schema, "anyOf")) != NULL || (value = json_object_get(schema, "oneOf")) != NULL)
		return write_alternatives(w, value, at, true, out);
	if (json_is_string(type))
		return write_type(w, schema, json_string_value(type), at, out);
	if (json_is_array(type))
		return write_types(w, schema, type, at, out);
	if (json_object_get(schema, "properties") != NULL)
		return write_object(w, schema, at, out);
	return refuse(w, at, "%s", "it has no type, enum, const, anyOf or $ref");
}

static int
write_schema(struct writer *w, const json_t *schema, const char *at, FILE *expression)
{
	if (!json_is_object(schema))
		return refuse(w, at, "%s", "it is not an object");
	if (w->depth >= SCHEMA_DEPTH || ++w->rules > SCHEMA_RULES)
		return refuse(w, at, "%s", "it is too deep or too large");
	w->depth++;
	int error = check_keywords(w, schema, at);
	if (error == 0)
		error = write_any(w, schema, at, expression);
	w->depth--;
	return error;
}

static int
write_all(struct writer *w)
{
	fputs("root ::= ", w->out);
	int error = write_schema(w, w->root, "", w->out);
	while (error == 0 && w->defined_written < w->defined_count) {
		unsigned i = w->defined_written++;
		fprintf(w->out, "\nd%u ::= ", i);
		error = write_schema(w, definition(w, w->defined[i]), w->defined[i], w->out);
	}
	/* Fractions and exponents of the lengths that a double has; white space only where a model expects it. */
	fputs("\nspace ::= \" \"?\n"
	      "boolean ::= \"true\" | \"false\"\n"
	      "integer ::= \"-\"? (\"0\" | [1-9] [0-9]{0,14})\n"
	      "number ::= integer (\".\" [0-9]{1,15})? ([eE] [-+]? [0-9]{1,2})?\n"
	      "char ::= [^\"\\\\\\x7F\\x00-\\x1F] | \"\\\\\" ([\"\\\\bfnrt] | \"u\" [0-9a-fA-F]{4})\n",
	      w->out);
	return error;
}

int
schema_grammar(const char *schema, char **grammar, struct why *why)
{
	json_error_t where;
	char *text = NULL;
	size_t size;
	json_t *root = json_loads(schema, JSON_REJECT_DUPLICATES, &where);
	if (root == NULL)
		return why_set(why, SCRY_E_ARGUMENT, "the schema is not JSON: line %d: %.100s", where.line, where.text);
	struct writer w = {.out = open_memstream(&text, &size), .root = root, .why = why};
	int error = w.out == NULL ? why_set(why, SCRY_E_MEMORY, "out of memory") : write_all(&w);
	if (w.out != NULL && fclose(w.out) != 0 && error == 0)
		error = why_set(why, SCRY_E_MEMORY, "out of memory");
	json_decref(root);
	if (error < 0) {
		free(text);
		return error;
	}
	*grammar = text;
	return 0;
}
