/* child_tesseract.h - Tesseract with one language, in memory and ready to read.
 *
 * Used by child_lite.c in the worker scry-lite, on its one thread. The bytes of the .traineddata may go when the
 * reader has been made: Tesseract copies what it needs. Nothing here opens a file.
 */
#ifndef ENGINE_CHILD_TESSERACT_H
#define ENGINE_CHILD_TESSERACT_H

#include <stdbool.h>
#include <stddef.h>

#include "base/why.h"
#include "engine/lite_resize.h"
#include "engine/lite_words.h"

struct tesseract;

/* Asked between words; true ends the reading. */
typedef bool (*tesseract_cancelled_fn)(void *user);

/* Makes a reader of the bytes of `language`.traineddata (LSTM network only). Blocks for some 50 ms. 0 and *out, to
 * be destroyed; or SCRY_E_MODEL or SCRY_E_MEMORY with the sentence in *why, and *out untouched. */
int tesseract_create(const void *data, size_t size, const char *language, struct tesseract **out, struct why *why);
void tesseract_destroy(struct tesseract *reader);

/* Reads a picture. `sparse`: text in no order, as on screens and signs; else columns and paragraphs, as on pages.
 * Blocks, 0.3 s for a full screen. 0 and *out, to be cleared with lite_words_clear(); SCRY_E_CANCELLED; or another
 * error with the sentence in *why. */
int tesseract_read(struct tesseract *reader, const struct lite_image *image, bool sparse,
                   tesseract_cancelled_fn cancelled, void *user, struct lite_words *out, struct why *why);

/* The library's version, "5.3.0". */
const char *tesseract_version(void);

#endif
