/* lm_text.h - from tokens' bytes to text that may be sent: whole UTF-8 characters, and nothing past a stop word.
 *
 * A token is bytes, not characters: an emoji comes as three tokens. Used by child_llama.c in the worker; pure.
 */
#ifndef ENGINE_LM_TEXT_H
#define ENGINE_LM_TEXT_H

#include <stdbool.h>
#include <stddef.h>

#define LM_TEXT_PIECE 512 /* bytes of one token's text; longer ones are cut */

/* What is known of the text so far. Zero-initialise. */
struct lm_text {
	unsigned char held[4]; /* the beginning of a character */
	size_t held_bytes;
	bool any; /* something that is not white space has come */
};

/* Adds one token's bytes; writes the characters that are complete now, NUL-terminated, and returns their bytes. Bytes that
 * cannot be UTF-8 become U+FFFD. White space before the first word is dropped. `out` holds LM_TEXT_OUT bytes. */
#define LM_TEXT_OUT (3 * (LM_TEXT_PIECE + 4) + 1)
size_t lm_text_add(struct lm_text *text, const char *bytes, size_t size, char *out);

/* What is still held when the answer ends: an incomplete character becomes U+FFFD. Bytes written, as above. */
size_t lm_text_end(struct lm_text *text, char *out);

/* What has to follow a rendered chat prompt so that a model of this template answers at once instead of thinking:
 * what its own template writes for enable_thinking = false. "" for models that do not think. */
const char *lm_no_thinking(const char *chat_template, const char *rendered);

#endif
