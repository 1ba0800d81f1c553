/* fuzz_image.c - hostile bytes into the eye's picture path: own parsers, FFmpeg, scaling, signature.
 *
 * libFuzzer entry point, also fed by tests/fuzz/runner.c from the corpus. The first byte of an input chooses the wanted
 * size, the rest is the file. Guards stand behind the pixels. A few bytes may say that they are 64 megapixels, which take
 * seconds under sanitizers: run libFuzzer with -timeout=60.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "eye/child_ffmpeg.h"
#include "gate/sign.h"

#define GUARD 64

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct {
		uint32_t width, height;
		size_t capacity;
	} sizes[] = {{64, 64, 64 * 64 * 3}, {512, 288, 512 * 288 * 3}, {0, 0, 100 * 100 * 3}, {7, 3, 63}, {0, 0, 3}};
	static int ready;
	if (!ready)
		ffmpeg_init(NULL);
	ready = 1;
	if (size < 1 || size > (1 << 20))
		return 0;
	unsigned choice = data[0] % (sizeof(sizes) / sizeof(sizes[0]));
	size_t capacity = sizes[choice].capacity;
	uint8_t *bytes = calloc(1, size - 1 + EYE_PADDING), *pixels = malloc(capacity + GUARD);
	if (bytes == NULL || pixels == NULL)
		abort();
	memcpy(bytes, data + 1, size - 1);
	memset(pixels + capacity, 0x5a, GUARD);
	struct ffmpeg_wanted wanted = {sizes[choice].width, sizes[choice].height, data[0] & 0x80, pixels, capacity};
	struct ffmpeg_frame frame;
	struct why why = {""};
	if (ffmpeg_decode(bytes, size - 1, &wanted, &frame, &why) == 0) {
		uint8_t signature[SIGN_BYTES];
		if (frame.width == 0 || frame.height == 0 || (uint64_t)frame.stride * frame.height > capacity ||
		    frame.stride < frame.width * 3 || frame.source_width > EYE_SIDE_MAX || frame.source_height > EYE_SIDE_MAX)
			abort();
		gate_sign(pixels, frame.width, frame.height, frame.stride, signature);
	} else if (why.text[0] == '\0') {
		abort();
	}
	for (size_t i = 0; i < GUARD; i++)
		if (pixels[capacity + i] != 0x5a)
			abort();
	free(pixels);
	free(bytes);
	return 0;
}
