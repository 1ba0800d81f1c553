/* fuzz_slots.c - slots_head on a ring in which anything stands: what it vouches for can be read.
 *
 * Input: slot (1 byte), generation (4), then bytes that are laid over the heads of the slots, first to last.
 */
#include <stdlib.h>
#include <string.h>

#include "wire/slots.h"

#define SLOTS 2
#define PAGE 4096
#define SLOT_BYTES ((uint64_t)20000)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct slots *
ring(void)
{
	static struct slots *made;
	if (made == NULL && slots_create(SLOTS, SLOT_BYTES, &made) < 0)
		abort();
	return made;
}

/* Reads the corners of the frame: a sanitizer, or the end of the mapping, objects when they are outside. */
static void
read_frame(const struct slots *slots, unsigned slot, const struct slot_head *head)
{
	const uint8_t *pixels = slots_frame(slots, slot);
	size_t last = (size_t)(head->height - 1) * head->stride + (size_t)head->width * 3 - 1;
	if (last >= SLOT_BYTES)
		abort();
	volatile unsigned sum = pixels[0] + pixels[head->stride - 1] + pixels[last];
	(void)sum;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slots *slots = ring();
	struct slot_head head, untouched;
	uint32_t generation;
	if (size < 5)
		return 0;
	memcpy(&generation, data + 1, sizeof(generation));
	/* The heads stand in front of the pixels, a page each. */
	uint8_t *heads = slots_pixels(slots, 0) - (size_t)SLOTS * PAGE;
	memset(heads, 0, (size_t)SLOTS * PAGE);
	memcpy(heads, data + 5, size - 5 < (size_t)SLOTS * PAGE ? size - 5 : (size_t)SLOTS * PAGE);
	memset(&head, 0xa5, sizeof(head));
	untouched = head;
	if (slots_head(slots, data[0], generation, &head) == 0) {
		if (data[0] >= SLOTS || head.generation != generation || head.width == 0 || head.height == 0)
			abort();
		read_frame(slots, data[0], &head);
	} else if (memcmp(&head, &untouched, sizeof(head)) != 0) {
		abort();
	}
	return 0;
}
