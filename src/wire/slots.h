/* slots.h - a ring of frames in shared memory: the eye writes pixels, the engine reads them, the core owns it.
 *
 * The core makes the memfd (sized and sealed against resizing) and is the only one who frees a slot. The eye maps
 * it writable, claims free slots and publishes frames. An engine gets a read-only descriptor. Nobody trusts what
 * stands in the memory: a head is copied once, checked against the ring's own geometry, and only the copy is used
 * (slots_head). Pixels may still change under an engine when an eye misbehaves; they are numbers, never lengths.
 */
#ifndef WIRE_SLOTS_H
#define WIRE_SLOTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SLOTS_MAX 16
#define SLOTS_DEFAULT 4                           /* slots of a source: its back-pressure */
#define SLOTS_BYTES_MAX ((uint64_t)64 << 20 << 2) /* 64 megapixels of RGB24 with room, 256 MiB */
#define SIGN_WIDTH 64                             /* luma signature beside each frame, for the gate */
#define SIGN_HEIGHT 36
#define SIGN_BYTES (SIGN_WIDTH * SIGN_HEIGHT)

/* What is known of the frame in a slot. Pixels are RGB24, rows `stride` bytes apart, from the top left. */
struct slot_head {
	uint32_t generation; /* counts up each time the slot is claimed; a stale reference is seen by it */
	uint32_t width;
	uint32_t height;
	uint32_t stride;
	uint64_t hash; /* of the pixels, XXH3 64 bits; equal frames have equal hashes */
	uint8_t signature[SIGN_BYTES];
};

struct slots;

/* Core: makes a ring. 0 or -errno. */
int slots_create(unsigned count, uint64_t slot_bytes, struct slots **out);
/* Worker: maps a ring that came by message; takes the descriptor over (closed on failure too). The memfd must have
 * the sealed size that `count` and `slot_bytes` say. 0 or -errno. */
int slots_attach(int fd, unsigned count, uint64_t slot_bytes, bool writable, struct slots **out);
void slots_destroy(struct slots *slots);

unsigned slots_count(const struct slots *slots);
uint64_t slots_bytes(const struct slots *slots); /* of one slot */

/* Core: a new read-only (or writable) descriptor of the ring for a worker; the caller closes it. fd or -errno. */
int slots_open_fd(const struct slots *slots, bool writable);

/* Eye: claims a free slot and raises its generation. The slot's number, or -EAGAIN when none is free. */
int slots_claim(struct slots *slots);
/* Eye: pixels of a claimed slot, slots_bytes() of them. */
uint8_t *slots_pixels(struct slots *slots, unsigned slot);
/* Eye: writes the head (its generation is set by the ring, and returned) and makes the frame visible. */
uint32_t slots_publish(struct slots *slots, unsigned slot, const struct slot_head *head);
/* Eye: gives a claimed slot back unused. Core: frees a slot, whatever state the eye left it in. */
void slots_release(struct slots *slots, unsigned slot);

/* Reader: copies the head of `slot` and checks it: generation as expected, sides not zero, rows within the slot.
 * 0 or -EPROTO; *out is written on success only. */
int slots_head(const struct slots *slots, unsigned slot, uint32_t generation, struct slot_head *out);
/* Reader: the pixels that slots_head() vouched for. */
const uint8_t *slots_frame(const struct slots *slots, unsigned slot);

#endif
