/* child_main.c - the program scry-eye: encoded pictures in, frames in shared memory out, and back to JPEG.
 *
 * Runs as a worker, sandboxed before the first byte of input is read; one thread, one request at a time. Owns the
 * mapped rings for the life of the process; an input lives for one request. Pixels are written where the engine will
 * read them: into the claimed slot. What it reads is hostile, so whatever goes wrong is one FAILED, or the process's end.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/str.h"
#include "eye/child_ffmpeg.h"
#include "gate/sign.h"
#include "scry.h"
#include "wire/child.h"
#include "wire/slots.h"

static struct slots *rings[PROTO_RINGS];

static void
log_ffmpeg(const char *line)
{
	child_log(SCRY_LOG_DEBUG, "ffmpeg: %s", line);
}

static void
take_ring(struct msg *msg)
{
	const struct proto_ring *body = &msg->body.ring;
	int fd = msg_take_fd(msg);
	if (body->ring >= PROTO_RINGS) {
		close(fd);
		child_log(SCRY_LOG_ERROR, "there is no ring %u", body->ring);
		return;
	}
	struct slots *ring;
	int error = slots_attach(fd, body->slots, body->slot_bytes, true, &ring);
	if (error < 0) {
		child_log(SCRY_LOG_ERROR, "ring %u cannot be mapped: %s", body->ring, strerror(-error));
		return;
	}
	slots_destroy(rings[body->ring]);
	rings[body->ring] = ring;
}

static void
start(void)
{
	struct proto_ready ready = {0};
	str_copy(ready.model, sizeof(ready.model), "FFmpeg");
	child_send(PROTO_READY, 0, &ready, sizeof(ready), -1);
}

static struct slots *
find_ring(uint32_t ring)
{
	return ring < PROTO_RINGS ? rings[ring] : NULL;
}

/* Reads the whole input into memory of our own, where nobody can change or cut it while a decoder looks. *out is freed
 * by the caller and ends with EYE_PADDING zero bytes. */
static int
read_input(int fd, uint8_t **out, size_t *out_size, struct why *why)
{
	uint8_t first;
	off_t end = lseek(fd, 0, SEEK_END); /* of a folder: the largest number; of a pipe: an error */
	if (end < 0 || pread(fd, &first, 1, 0) < 0)
		return why_set(why, SCRY_E_INPUT, "cannot be read: %s",
		               errno == ESPIPE ? "it is a pipe, not a file" : strerror(errno));
	if ((uint64_t)end > EYE_INPUT_MAX)
		return why_set(why, SCRY_E_LIMIT,
		               "%lld bytes are over the limit of %zu MiB for a picture; make it smaller first", (long long)end,
		               EYE_INPUT_MAX >> 20);
	size_t size = (size_t)end, have = 0;
	uint8_t *bytes = malloc(size + EYE_PADDING);
	if (bytes == NULL)
		return why_set(why, SCRY_E_MEMORY, "out of memory for %zu bytes of picture", size);
	while (have < size) {
		ssize_t n = pread(fd, bytes + have, size - have, (off_t)have);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			int error = errno;
			free(bytes);
			return why_set(why, SCRY_E_INPUT, "cannot be read: %s", strerror(error));
		}
		if (n == 0)
			break; /* it became shorter: the decoder will say that it is truncated */
		have += (size_t)n;
	}
	memset(bytes + have, 0, size - have + EYE_PADDING);
	*out = bytes;
	*out_size = have;
	return SCRY_OK;
}

/* Equal frames have equal hashes, whatever lies between their rows. */
static uint64_t
hash_rows(const uint8_t *pixels, uint32_t width, uint32_t height, uint32_t stride)
{
	size_t row = (size_t)width * 3;
	if (stride == row)
		return XXH3_64bits(pixels, row * height);
	XXH3_state_t state;
	XXH3_64bits_reset(&state);
	for (uint32_t y = 0; y < height; y++)
		XXH3_64bits_update(&state, pixels + (size_t)y * stride, row);
	return XXH3_64bits_digest(&state);
}

/* Decodes into a claimed slot and publishes it. */
static int
decode_into(struct slots *ring, unsigned slot, const struct proto_decode *body, int fd, struct proto_frame *out,
            struct why *why)
{
	uint8_t *bytes = NULL;
	size_t size = 0;
	int error = read_input(fd, &bytes, &size, why);
	if (error != SCRY_OK)
		return error;
	struct ffmpeg_wanted wanted = {.max_width = body->max_width,
	                               .max_height = body->max_height,
	                               .fast = (body->flags & PROTO_DECODE_FAST) != 0,
	                               .pixels = slots_pixels(ring, slot),
	                               .capacity = (size_t)slots_bytes(ring)};
	struct ffmpeg_frame frame;
	error = ffmpeg_decode(bytes, size, &wanted, &frame, why);
	free(bytes);
	if (error != SCRY_OK)
		return error;
	struct slot_head head = {.width = frame.width, .height = frame.height, .stride = frame.stride};
	head.hash = hash_rows(wanted.pixels, frame.width, frame.height, frame.stride);
	gate_sign(wanted.pixels, frame.width, frame.height, frame.stride, head.signature);
	*out = (struct proto_frame){.ring = body->ring,
	                            .slot = slot,
	                            .generation = slots_publish(ring, slot, &head),
	                            .width = frame.width,
	                            .height = frame.height,
	                            .source_width = frame.source_width,
	                            .source_height = frame.source_height};
	str_copy(out->format, sizeof(out->format), frame.format);
	return SCRY_OK;
}

static void
decode(struct msg *msg)
{
	const struct proto_decode *body = &msg->body.decode;
	uint32_t request = msg->head.request;
	uint64_t begin = clock_us();
	_cleanup_fd_ int fd = msg_take_fd(msg);
	struct slots *ring = find_ring(body->ring);
	if (ring == NULL) {
		child_failed(request, SCRY_E_SYSTEM, "there is no memory for frames (ring %u); the core did not send it",
		             body->ring);
		return;
	}
	int slot = slots_claim(ring);
	if (slot < 0) {
		child_failed(request, SCRY_E_BUSY, "all %u frames are in use; try again when one is done", slots_count(ring));
		return;
	}
	struct why why = {""};
	struct proto_frame frame;
	child_deadline(body->deadline_ms);
	int error = decode_into(ring, (unsigned)slot, body, fd, &frame, &why);
	child_deadline(0);
	if (error != SCRY_OK) {
		slots_release(ring, (unsigned)slot);
		child_failed(request, error, "%s", why.text);
		return;
	}
	frame.decode_us = (uint32_t)(clock_us() - begin);
	child_send(PROTO_FRAME, request, &frame, sizeof(frame), -1);
}

static int
encode_slot(const struct proto_encode *body, uint8_t **out, size_t *out_size, struct why *why)
{
	struct slots *ring = find_ring(body->ring);
	struct slot_head head;
	if (ring == NULL || slots_head(ring, body->slot, body->generation, &head) < 0)
		return why_set(why, SCRY_E_ARGUMENT, "the frame that was to be encoded is not there any more");
	if (body->quality < 1 || body->quality > 100)
		return why_set(why, SCRY_E_ARGUMENT, "JPEG quality is 1 to 100, not %u", body->quality);
	return ffmpeg_encode(slots_frame(ring, body->slot), head.width, head.height, head.stride, body->quality, out,
	                     out_size, why);
}

static void
encode(const struct msg *msg)
{
	const struct proto_encode *body = &msg->body.encode;
	uint64_t begin = clock_us();
	uint8_t *bytes = NULL;
	size_t size = 0;
	struct why why = {""};
	child_deadline(body->deadline_ms);
	int error = encode_slot(body, &bytes, &size, &why);
	child_deadline(0);
	if (error != SCRY_OK) {
		child_failed(msg->head.request, error, "%s", why.text);
		return;
	}
	_cleanup_fd_ int fd = fd_sealed_copy("scry-jpeg", bytes, size);
	free(bytes);
	if (fd < 0) {
		child_failed(msg->head.request, SCRY_E_SYSTEM, "no memory file for %zu bytes of JPEG: %s", size, strerror(-fd));
		return;
	}
	struct proto_encoded encoded = {.encode_us = (uint32_t)(clock_us() - begin), .bytes = size};
	child_send(PROTO_ENCODED, msg->head.request, &encoded, sizeof(encoded), fd);
}

int
main(void)
{
	child_hello("scry-eye", PROTO_ROLE_EYE, CHILD_SANDBOX_DECODER);
	ffmpeg_init(log_ffmpeg);
	for (;;) {
		struct msg msg;
		child_receive(&msg);
		switch (msg.head.type) {
		case PROTO_RING:
			take_ring(&msg);
			break;
		case PROTO_START:
			start();
			break;
		case PROTO_DECODE:
			decode(&msg);
			break;
		case PROTO_ENCODE:
			encode(&msg);
			break;
		default: /* a file, a question: not for an eye */
			child_log(SCRY_LOG_WARN, "the eye was sent %s, which it does not know", msg_type_name(msg.head.type));
			break;
		}
		msg_close(&msg);
	}
}
