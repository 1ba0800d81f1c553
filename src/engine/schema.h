/* schema.h - from a JSON Schema to a grammar that a language model's sampler can be held to (GBNF, llama.cpp's form).
 *
 * Runs in the core, on a text of the caller. What the grammar lets through obeys the schema; not everything that would
 * obey it is let through: properties come in the schema's order, and optional ones always come. A keyword that would
 * be ignored silently is an error instead.
 */
#ifndef ENGINE_SCHEMA_H
#define ENGINE_SCHEMA_H

#include "base/why.h"

#define SCHEMA_STRING_MAX 256 /* characters of a string whose schema sets no maxLength */
#define SCHEMA_ITEMS_MAX 64   /* items of an array whose schema sets no maxItems */
#define SCHEMA_DEPTH 32
#define SCHEMA_RULES 1000

/* Writes the grammar to *grammar, to be freed. 0; SCRY_E_ARGUMENT with `why` naming the place; SCRY_E_MEMORY.
 *
 * Understood: type (also several), enum, const, properties, required, items, minItems, maxItems, minLength, maxLength,
 * minimum and maximum of small integers, anyOf, oneOf, $ref to #/$defs/NAME and #/definitions/NAME. Passed over, since they
 * promise nothing about the document: title, description, default, examples, $schema, $id, $comment, format. */
int schema_grammar(const char *schema, char **grammar, struct why *why);

#endif
