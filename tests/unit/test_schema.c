/* test_schema.c - grammars from JSON Schemas: their rules, and that nothing is ignored silently. */
#include "unit.h"

#include <stdlib.h>
#include <string.h>

#include "engine/schema.h"
#include "scry.h"

/* The root rule, or the sentence of the refusal. */
static const struct {
	const char *schema, *root, *refusal;
} cases[] = {
	{"{\"type\":\"boolean\"}", "root ::= boolean", NULL},
	{"{\"type\":\"integer\"}", "root ::= integer", NULL},
	{"{\"type\":\"number\",\"title\":\"x\"}", "root ::= number", NULL},
	{"{\"type\":\"null\"}", "root ::= \"null\"", NULL},
	{"{\"type\":[\"boolean\",\"null\"]}", "root ::= (boolean | \"null\")", NULL},
	{"{\"enum\":[\"a\\\"b\",1,null]}", "root ::= (\"\\\"a\\\\\\\"b\\\"\" | \"1\" | \"null\")", NULL},
	{"{\"const\":\"\\\\\"}", "root ::= \"\\\"\\\\\\\\\\\"\"", NULL},
	{"{\"type\":\"string\",\"maxLength\":5}", "root ::= \"\\\"\" char{0,5} \"\\\"\"", NULL},
	{"{\"type\":\"string\",\"minLength\":300}", "root ::= \"\\\"\" char{300,300} \"\\\"\"", NULL},
	{"{\"type\":\"integer\",\"minimum\":-1,\"maximum\":1}", "root ::= (\"-1\" | \"0\" | \"1\")", NULL},
	{"{\"type\":\"array\",\"items\":{\"type\":\"boolean\"},\"maxItems\":3}",
     "root ::= (\"[]\" | \"[\" boolean (\",\" space boolean){0,2} \"]\")", NULL},
	{"{\"type\":\"array\",\"items\":{\"type\":\"null\"},\"minItems\":2,\"maxItems\":2}",
     "root ::= (\"[\" \"null\" (\",\" space \"null\"){1,1} \"]\")", NULL},
	{"{\"type\":\"array\",\"items\":{\"type\":\"null\"},\"maxItems\":0}", "root ::= \"[]\"", NULL},
	{"{\"type\":\"object\",\"properties\":{\"b\":{\"type\":\"null\"},\"a\":{\"type\":\"boolean\"}},\"required\":[\"a\"]}",
     "root ::= \"{\" \"\\\"b\\\"\" \":\" space \"null\" \",\" space \"\\\"a\\\"\" \":\" space boolean \"}\"", NULL},
	{"{\"type\":\"object\"}", "root ::= \"{}\"", NULL},
	{"{\"anyOf\":[{\"type\":\"null\"},{\"type\":\"integer\"}]}", "root ::= (\"null\" | integer)", NULL},
	/* a list that speaks of itself */
	{"{\"$ref\":\"#/$defs/node\",\"$defs\":{\"node\":{\"anyOf\":[{\"type\":\"null\"},{\"$ref\":\"#/$defs/node\"}]}}}",
     "root ::= d0\nd0 ::= (\"null\" | d0)", NULL},

	{"", NULL, "not JSON"},
	{"[", NULL, "not JSON: line 1"},
	{"[]", NULL, "at its top: it is not an object"},
	{"{}", NULL, "no type, enum"},
	{"{\"type\":\"strin\"}", NULL, "no type \"strin\""},
	{"{\"type\":[]}", NULL, "empty list"},
	{"{\"type\":[3]}", NULL, "a type is no string"},
	{"{\"enum\":[]}", NULL, "alternatives is empty"},
	{"{\"anyOf\":{}}", NULL, "alternatives is empty or no list"},
	{"{\"type\":\"string\",\"pattern\":\"^a\"}", NULL, "\"pattern\" is not understood"},
	{"{\"type\":\"string\",\"minLength\":5,\"maxLength\":4}", NULL, "minLength is more"},
	{"{\"type\":\"string\",\"maxLength\":-1}", NULL, "\"maxLength\" is not a whole number"},
	{"{\"type\":\"integer\",\"minimum\":0}", NULL, "both minimum and maximum"},
	{"{\"type\":\"integer\",\"minimum\":0,\"maximum\":5000}", NULL, "more than 1000"},
	{"{\"type\":\"number\",\"minimum\":0,\"maximum\":1}", NULL, "use an integer"},
	{"{\"type\":\"array\"}", NULL, "needs \"items\""},
	{"{\"type\":\"object\",\"properties\":{\"a\":{\"type\":\"x\"}}}", NULL, "/properties/a: there is no type"},
	{"{\"type\":\"object\",\"properties\":{},\"required\":[\"a\"]}", NULL, "\"a\" is required"},
	{"{\"$ref\":\"#/$defs/gone\"}", NULL, "leads nowhere"},
	{"{\"$ref\":7}", NULL, "leads nowhere"},
	{"{\"type\":\"null\",\"type\":\"null\"}", NULL, "duplicate"},
};

static void
test_cases(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		char *grammar = NULL;
		struct why why = {""};
		int error = schema_grammar(cases[i].schema, &grammar, &why);
		if (cases[i].refusal != NULL) {
			assert_int_equal(error, SCRY_E_ARGUMENT);
			assert_null(grammar);
			if (strstr(why.text, cases[i].refusal) == NULL)
				fail_msg("%s: \"%s\" lacks \"%s\"", cases[i].schema, why.text, cases[i].refusal);
			continue;
		}
		assert_int_equal(error, 0);
		char *end = strstr(grammar, "\nspace ::=");
		assert_non_null(end);
		*end = '\0';
		assert_string_equal(grammar, cases[i].root);
		free(grammar);
	}
}

/* A schema without end in its depth is refused before the stack is. */
static void
test_depth(void **state)
{
	(void)state;
	enum { DEEP = 500 };
	static char schema[DEEP * 32];
	for (int i = 0; i < DEEP; i++)
		strcat(schema, "{\"type\":\"array\",\"items\":");
	strcat(schema, "{\"type\":\"null\"}");
	for (int i = 0; i < DEEP; i++)
		strcat(schema, "}");
	char *grammar = NULL;
	struct why why;
	assert_int_equal(schema_grammar(schema, &grammar, &why), SCRY_E_ARGUMENT);
	assert_non_null(strstr(why.text, "too deep"));
	assert_null(grammar);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_cases), cmocka_unit_test(test_depth)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
