/* lm_text.c - see lm_text.h. */
#include "engine/lm_text.h"

#include <string.h>

#include "base/str.h"

static const char replacement[] = "\xef\xbf\xbd"; /* U+FFFD */

/* How many bytes a character that begins so has; 0: none does. */
static size_t
length_of(unsigned char first)
{
	return first < 0x80               ? 1 :
		first >= 0xc2 && first < 0xe0 ? 2 :
		first >= 0xe0 && first < 0xf0 ? 3 :
		first >= 0xf0 && first < 0xf5 ? 4 :
										0;
}

static size_t
put(struct lm_text *text, char *out, size_t at, const char *bytes, size_t size)
{
	if (!text->any && size == 1 && strchr(" \n\r\t", bytes[0]) != NULL)
		return at;
	text->any = true;
	memcpy(out + at, bytes, size);
	return at + size;
}

/* One byte more; the held ones are a character, still the beginning of one, or nothing. */
static size_t
take(struct lm_text *text, unsigned char byte, char *out, size_t at)
{
	bool continues = (byte & 0xc0) == 0x80;
	if (text->held_bytes > 0 && !continues) {
		at = put(text, out, at, replacement, 3);
		text->held_bytes = 0;
	}
	if (text->held_bytes == 0 && (byte == 0 || length_of(byte) == 0))
		return put(text, out, at, replacement, 3);
	text->held[text->held_bytes++] = byte;
	if (text->held_bytes < length_of(text->held[0]))
		return at;
	bool valid = str_utf8_valid((const char *)text->held, text->held_bytes);
	at = valid ? put(text, out, at, (const char *)text->held, text->held_bytes) : put(text, out, at, replacement, 3);
	text->held_bytes = 0;
	return at;
}

size_t
lm_text_add(struct lm_text *text, const char *bytes, size_t size, char *out)
{
	size_t at = 0;
	for (size_t i = 0; i < size && i < LM_TEXT_PIECE; i++)
		at = take(text, (unsigned char)bytes[i], out, at);
	out[at] = '\0';
	return at;
}

size_t
lm_text_end(struct lm_text *text, char *out)
{
	size_t at = text->held_bytes > 0 ? put(text, out, 0, replacement, 3) : 0;
	text->held_bytes = 0;
	out[at] = '\0';
	return at;
}

static bool
ends_with(const char *text, const char *tail)
{
	size_t n = strlen(text), m = strlen(tail);
	return n >= m && strcmp(text + n - m, tail) == 0;
}

const char *
lm_no_thinking(const char *chat_template, const char *rendered)
{
	/* Qwen3, Qwen3.5, MiniCPM-V 4.5 and their like: an empty thought, in exactly these bytes. */
	if (chat_template != NULL && strstr(chat_template, "<think>") != NULL &&
	    ends_with(rendered, "<|im_start|>assistant\n"))
		return "<think>\n\n</think>\n\n";
	return "";
}
