/* slots.c - the ring of frames in shared memory; see slots.h for who may do what.
 *
 * Layout of the memfd: one struct slot (a page) per slot, then the pixels of each slot, each page-aligned.
 * The only synchronisation is the atomic state word of a slot: FREE -> CLAIMED and CLAIMED -> READY by the eye, anything
 * -> FREE by the core (or by the eye for its own claim). The memory's pages exist only once touched.
 */
#include "wire/slots.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/fd.h"

#define SLOT_PAGE 4096u

enum slot_state { SLOT_FREE, SLOT_CLAIMED, SLOT_READY };

/* As it stands in shared memory. */
struct slot {
	_Atomic uint32_t state;
	_Atomic uint32_t generation;
	struct slot_head head;
};
static_assert(sizeof(struct slot) <= SLOT_PAGE, "a slot's head fits its page");
static_assert(ATOMIC_INT_LOCK_FREE == 2, "shared memory needs lock-free atomics");

struct slots {
	uint8_t *map;
	size_t map_bytes;
	unsigned count;
	uint64_t slot_bytes;
	int fd; /* core only; -1 in workers */
};

static uint64_t
stride_of(uint64_t slot_bytes)
{
	return (slot_bytes + SLOT_PAGE - 1) / SLOT_PAGE * SLOT_PAGE;
}

static bool
geometry_ok(unsigned count, uint64_t slot_bytes)
{
	return count >= 1 && count <= SLOTS_MAX && slot_bytes >= 3 && slot_bytes <= SLOTS_BYTES_MAX;
}

static size_t
ring_bytes(unsigned count, uint64_t slot_bytes)
{
	return (size_t)(count * (SLOT_PAGE + stride_of(slot_bytes)));
}

static struct slot *
slot_at(const struct slots *slots, unsigned slot)
{
	assert(slot < slots->count);
	return (struct slot *)(slots->map + (size_t)slot * SLOT_PAGE);
}

static uint8_t *
pixels_at(const struct slots *slots, unsigned slot)
{
	assert(slot < slots->count);
	return slots->map + (size_t)slots->count * SLOT_PAGE + (size_t)(slot * stride_of(slots->slot_bytes));
}

static int
map_ring(int fd, unsigned count, uint64_t slot_bytes, bool writable, struct slots **out)
{
	struct slots *slots = calloc(1, sizeof(*slots));
	if (slots == NULL)
		return -ENOMEM;
	slots->fd = -1;
	slots->count = count;
	slots->slot_bytes = slot_bytes;
	slots->map_bytes = ring_bytes(count, slot_bytes);
	void *map = mmap(NULL, slots->map_bytes, PROT_READ | (writable ? PROT_WRITE : 0), MAP_SHARED, fd, 0);
	if (map == MAP_FAILED) {
		int error = -errno;
		free(slots);
		return error;
	}
	slots->map = map;
	*out = slots;
	return 0;
}

int
slots_create(unsigned count, uint64_t slot_bytes, struct slots **out)
{
	if (!geometry_ok(count, slot_bytes))
		return -EINVAL;
	_cleanup_fd_ int fd = memfd_create("scry-slots", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (fd < 0)
		return -errno;
	if (ftruncate(fd, (off_t)ring_bytes(count, slot_bytes)) < 0)
		return -errno;
	if (fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0)
		return -errno;
	struct slots *slots;
	int error = map_ring(fd, count, slot_bytes, true, &slots);
	if (error < 0)
		return error;
	slots->fd = fd;
	fd = -1;
	*out = slots;
	return 0;
}

int
slots_attach(int given, unsigned count, uint64_t slot_bytes, bool writable, struct slots **out)
{
	_cleanup_fd_ int fd = given;
	if (!geometry_ok(count, slot_bytes))
		return -EINVAL;
	/* Not fstat(), which the decoder's sandbox does not have. */
	off_t size = lseek(fd, 0, SEEK_END);
	int seals = fcntl(fd, F_GET_SEALS);
	if (seals < 0 || (seals & F_SEAL_SHRINK) == 0 || size < 0 || (uint64_t)size != ring_bytes(count, slot_bytes))
		return -EPROTO;
	return map_ring(fd, count, slot_bytes, writable, out);
}

void
slots_destroy(struct slots *slots)
{
	if (slots == NULL)
		return;
	munmap(slots->map, slots->map_bytes);
	fd_close(&slots->fd);
	free(slots);
}

unsigned
slots_count(const struct slots *slots)
{
	return slots->count;
}

uint64_t
slots_bytes(const struct slots *slots)
{
	return slots->slot_bytes;
}

int
slots_open_fd(const struct slots *slots, bool writable)
{
	/* A descriptor dup'ed is as writable as its original; only a new open file description can be read-only. */
	char path[64];
	snprintf(path, sizeof(path), "/proc/self/fd/%d", slots->fd);
	int fd = writable ? fcntl(slots->fd, F_DUPFD_CLOEXEC, 0) : open(path, O_RDONLY | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

int
slots_claim(struct slots *slots)
{
	for (unsigned i = 0; i < slots->count; i++) {
		struct slot *slot = slot_at(slots, i);
		uint32_t state = SLOT_FREE;
		if (atomic_compare_exchange_strong(&slot->state, &state, SLOT_CLAIMED)) {
			atomic_fetch_add(&slot->generation, 1);
			return (int)i;
		}
	}
	return -EAGAIN;
}

uint8_t *
slots_pixels(struct slots *slots, unsigned slot)
{
	return pixels_at(slots, slot);
}

uint32_t
slots_publish(struct slots *slots, unsigned number, const struct slot_head *head)
{
	struct slot *slot = slot_at(slots, number);
	uint32_t generation = atomic_load(&slot->generation);
	slot->head = *head;
	slot->head.generation = generation;
	atomic_store(&slot->state, SLOT_READY);
	return generation;
}

void
slots_release(struct slots *slots, unsigned slot)
{
	atomic_store(&slot_at(slots, slot)->state, SLOT_FREE);
}

int
slots_head(const struct slots *slots, unsigned number, uint32_t generation, struct slot_head *out)
{
	if (number >= slots->count)
		return -EPROTO;
	struct slot *slot = slot_at(slots, number);
	if (atomic_load(&slot->state) != SLOT_READY)
		return -EPROTO;
	struct slot_head head = slot->head;
	/* The copy is complete here: the compiler may not read the shared memory a second time for the checks. */
	atomic_signal_fence(memory_order_seq_cst);
	uint64_t row = (uint64_t)head.width * 3;
	if (head.generation != generation || head.width == 0 || head.height == 0 || head.stride < row)
		return -EPROTO;
	/* The last row needs no padding, but a stride that overflows the slot is refused by the same line. */
	if ((uint64_t)head.stride * head.height > slots->slot_bytes)
		return -EPROTO;
	*out = head;
	return 0;
}

const uint8_t *
slots_frame(const struct slots *slots, unsigned slot)
{
	return pixels_at(slots, slot);
}
