/* child_tflite.h - one TensorFlow Lite network with one picture as its input, in memory and ready to run.
 *
 * Used by child_lite.c in the worker scry-lite, on its one thread (the library's own threads never call back). The
 * bytes of the model stay the caller's and must outlive the network. Nothing here opens a file.
 */
#ifndef ENGINE_CHILD_TFLITE_H
#define ENGINE_CHILD_TFLITE_H

#include <stddef.h>

#include "base/why.h"

struct tflite;

/* What a network must look like to be the one that is meant; a file that differs is refused. */
struct tflite_shape {
	unsigned side; /* the input is 1 x side x side x 3, 32-bit floats */
	unsigned rows; /* there are two outputs, in any order: 1 x rows x first_cols, and 1 x rows x second_cols */
	unsigned first_cols;
	unsigned second_cols; /* 0: as the file has it, but not first_cols; see tflite_second_cols() */
};

/* Makes a network of the bytes of a .tflite file. Blocks for some 10 ms. 0 and *out, to be destroyed; or
 * SCRY_E_MODEL or SCRY_E_MEMORY with the sentence in *why, and *out untouched. */
int tflite_create(const void *data, size_t size, const struct tflite_shape *shape, unsigned threads,
                  struct tflite **out, struct why *why);
void tflite_destroy(struct tflite *net);

/* The input, side x side x 3 floats, to be filled before each run: a run may overwrite it. */
float *tflite_input(struct tflite *net);

/* Runs the network on what is in the input. Blocks. 0 or SCRY_E_MODEL. */
int tflite_run(struct tflite *net, struct why *why);

/* The outputs of the last run, rows x cols floats each; they live until the next run. */
const float *tflite_first(const struct tflite *net);
const float *tflite_second(const struct tflite *net);
unsigned tflite_second_cols(const struct tflite *net);

/* The library's version, "2.14.1". */
const char *tflite_version(void);

#endif
