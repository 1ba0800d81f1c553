/* test_slots.c - the ring of frames: claims and generations, what a head must be, who may write. */
#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "wire/slots.h"

#define SLOT_BYTES ((uint64_t)64 * 48 * 3)

static struct slots *
make_ring(unsigned count)
{
	struct slots *ring;
	assert_int_equal(slots_create(count, SLOT_BYTES, &ring), 0);
	return ring;
}

static struct slots *
attach(const struct slots *ring, bool writable)
{
	struct slots *mine;
	int fd = slots_open_fd(ring, writable);
	assert_true(fd >= 0);
	assert_int_equal(slots_attach(fd, slots_count(ring), slots_bytes(ring), writable, &mine), 0);
	return mine;
}

static void
test_geometry(void **state)
{
	(void)state;
	static const struct {
		unsigned count;
		uint64_t bytes;
		int error;
	} cases[] = {
		{1, 3, 0},
		{SLOTS_MAX, 3, 0},
		{1, SLOTS_BYTES_MAX, 0},
		{0, 3, -EINVAL},
		{SLOTS_MAX + 1, 3, -EINVAL},
		{~0u, 3, -EINVAL},
		{1, 2, -EINVAL},
		{1, 0, -EINVAL},
		{1, SLOTS_BYTES_MAX + 1, -EINVAL},
		{1, UINT64_MAX, -EINVAL},
	};
	int before = unit_descriptors();
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct slots *ring = NULL;
		assert_int_equal(slots_create(cases[i].count, cases[i].bytes, &ring), cases[i].error);
		assert_int_equal(ring != NULL, cases[i].error == 0);
		slots_destroy(ring);
		/* A worker is told the same numbers by message. */
		int fd = memfd_create("any", MFD_CLOEXEC);
		if (cases[i].error != 0)
			assert_int_equal(slots_attach(fd, cases[i].count, cases[i].bytes, true, &ring), cases[i].error);
		else
			close(fd);
	}
	assert_int_equal(unit_descriptors(), before);
}

static void
test_claims(void **state)
{
	(void)state;
	struct slots *ring = make_ring(4), *eye = attach(ring, true);
	bool seen[4] = {false};
	for (int i = 0; i < 4; i++) {
		int slot = slots_claim(eye);
		assert_in_range(slot, 0, 3);
		assert_false(seen[slot]);
		seen[slot] = true;
	}
	assert_int_equal(slots_claim(eye), -EAGAIN);
	slots_release(eye, 2);
	assert_int_equal(slots_claim(eye), 2);
	slots_release(ring, 1);
	assert_int_equal(slots_claim(eye), 1);
	slots_destroy(eye);
	slots_destroy(ring);
	slots_destroy(NULL);
}

/* A reference to an earlier frame of the same slot is seen to be stale. */
static void
test_generations(void **state)
{
	(void)state;
	struct slots *ring = make_ring(1), *eye = attach(ring, true), *engine = attach(ring, false);
	struct slot_head head = {.width = 4, .height = 2, .stride = 12, .hash = 9}, got;
	uint32_t last = 0;
	for (int i = 0; i < 5; i++) {
		assert_int_equal(slots_claim(eye), 0);
		assert_int_equal(slots_head(engine, 0, last + 1, &got), -EPROTO); /* claimed, not published */
		uint32_t generation = slots_publish(eye, 0, &head);
		assert_int_equal(generation, last + 1);
		assert_int_equal(slots_head(engine, 0, generation, &got), 0);
		assert_int_equal(got.generation, generation);
		assert_int_equal(got.hash, 9);
		assert_int_equal(slots_head(engine, 0, generation - 1, &got), -EPROTO);
		assert_int_equal(slots_head(engine, 0, generation + 1, &got), -EPROTO);
		slots_release(ring, 0);
		assert_int_equal(slots_head(engine, 0, generation, &got), -EPROTO);
		last = generation;
	}
	slots_destroy(engine);
	slots_destroy(eye);
	slots_destroy(ring);
}

static void
test_pixels_cross(void **state)
{
	(void)state;
	struct slots *ring = make_ring(4), *eye = attach(ring, true), *engine = attach(ring, false);
	for (unsigned slot = 0; slot < 4; slot++)
		memset(slots_pixels(eye, slot), (int)(slot + 1), SLOT_BYTES);
	for (unsigned slot = 0; slot < 4; slot++) {
		const uint8_t *pixels = slots_frame(engine, slot);
		for (size_t i = 0; i < SLOT_BYTES; i++)
			assert_int_equal(pixels[i], slot + 1);
	}
	slots_destroy(engine);
	slots_destroy(eye);
	slots_destroy(ring);
}

/* Heads as a lying eye may write them. */
static void
test_heads(void **state)
{
	(void)state;
	static const struct {
		uint32_t width, height, stride;
		bool good;
	} cases[] = {
		{64, 48, 192, true},
		{1, 1, 3, true},
		{1, 3072, 3, true},
		{64, 48, 191, false}, /* rows overlap */
		{64, 49, 192, false}, /* one row too many */
		{64, 48, 193, false},
		{0, 48, 192, false},
		{64, 0, 192, false},
		{0, 0, 0, false},
		{64, 48, 0, false},
		{UINT32_MAX, 1, UINT32_MAX, false},
		{0x55555556u, 1, 2, false},           /* width * 3 is 2 in 32 bits */
		{1, 0x80000000u, 0x80000000u, false}, /* stride * height is 0 in 32 bits */
		{1, UINT32_MAX, UINT32_MAX, false},
		{1, 0x10000u, 0x10000u, false},
	};
	struct slots *ring = make_ring(2), *eye = attach(ring, true);
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct slot_head head = {.width = cases[i].width, .height = cases[i].height, .stride = cases[i].stride};
		struct slot_head got, before;
		memset(&got, 0x5a, sizeof(got));
		before = got;
		int slot = slots_claim(eye);
		uint32_t generation = slots_publish(eye, (unsigned)slot, &head);
		assert_int_equal(slots_head(ring, (unsigned)slot, generation, &got), cases[i].good ? 0 : -EPROTO);
		if (!cases[i].good)
			assert_memory_equal(&got, &before, sizeof(got));
		slots_release(ring, (unsigned)slot);
	}
	struct slot_head got;
	assert_int_equal(slots_head(ring, 2, 0, &got), -EPROTO);
	assert_int_equal(slots_head(ring, UINT32_MAX, 0, &got), -EPROTO);
	slots_destroy(eye);
	slots_destroy(ring);
}

/* Only a memfd of the right sealed size is mapped: one that can shrink would end the reader by SIGBUS. */
static void
test_attach_refuses(void **state)
{
	(void)state;
	int before = unit_descriptors();
	struct slots *ring = make_ring(4), *mine = NULL;
	static const struct {
		unsigned count;
		uint64_t bytes;
	} told[] = {{3, SLOT_BYTES}, {5, SLOT_BYTES}, {4, SLOT_BYTES + 4096}, {4, 3}, {16, SLOTS_BYTES_MAX}};
	for (size_t i = 0; i < COUNT(told); i++)
		assert_int_equal(slots_attach(slots_open_fd(ring, true), told[i].count, told[i].bytes, true, &mine), -EPROTO);
	int size = (int)lseek(slots_open_fd(ring, false), 0, SEEK_END);
	int unsealed = memfd_create("unsealed", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	assert_int_equal(ftruncate(unsealed, size), 0);
	assert_int_equal(slots_attach(unsealed, 4, SLOT_BYTES, true, &mine), -EPROTO);
	int pipes[2];
	assert_int_equal(pipe2(pipes, O_CLOEXEC), 0);
	assert_int_equal(slots_attach(pipes[0], 4, SLOT_BYTES, true, &mine), -EPROTO);
	close(pipes[1]);
	assert_int_equal(slots_attach(-1, 4, SLOT_BYTES, true, &mine), -EPROTO);
	/* A read-only descriptor cannot be mapped writable. */
	assert_int_equal(slots_attach(slots_open_fd(ring, false), 4, SLOT_BYTES, true, &mine), -EACCES);
	assert_null(mine);
	slots_destroy(ring);
	/* The one that was opened to learn the size. */
	assert_int_equal(unit_descriptors(), before + 1);
}

static void
test_ring_cannot_be_resized(void **state)
{
	(void)state;
	struct slots *ring = make_ring(2);
	int fd = slots_open_fd(ring, true);
	off_t size = lseek(fd, 0, SEEK_END);
	assert_int_equal(ftruncate(fd, size - 1), -1);
	assert_int_equal(ftruncate(fd, size + 1), -1);
	assert_int_equal(ftruncate(fd, 0), -1);
	assert_int_equal(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE), -1);
	close(fd);
	fd = slots_open_fd(ring, false);
	assert_int_equal(fcntl(fd, F_GETFL) & O_ACCMODE, O_RDONLY);
	assert_int_equal(fcntl(fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
	assert_int_equal(pwrite(fd, "x", 1, 0), -1);
	close(fd);
	slots_destroy(ring);
}

/* Writing through an engine's mapping ends the engine, not the frame. */
static void
test_engine_cannot_write(void **state)
{
	(void)state;
	struct slots *ring = make_ring(1), *engine = attach(ring, false);
	int status;
	pid_t pid = fork();
	if (pid == 0) {
		signal(SIGSEGV, SIG_DFL); /* a sanitizer would report it */
		*(volatile uint8_t *)(uintptr_t)slots_frame(engine, 0) = 1;
		_exit(0);
	}
	assert_true(pid > 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV);
	assert_int_equal(slots_frame(ring, 0)[0], 0);
	slots_destroy(engine);
	slots_destroy(ring);
}

#define CLAIMS 20000

/* Claims and frees from two sides: no slot is ever held twice. */
static void *
churn(void *user)
{
	struct slots *ring = user;
	for (int i = 0; i < CLAIMS; i++) {
		int slot = slots_claim(ring);
		if (slot < 0)
			continue;
		uint8_t *pixels = slots_pixels(ring, (unsigned)slot);
		if (__atomic_fetch_add(pixels, 1, __ATOMIC_SEQ_CST) != 0)
			return (void *)1;
		__atomic_store_n(pixels, 0, __ATOMIC_SEQ_CST);
		slots_release(ring, (unsigned)slot);
	}
	return NULL;
}

static void
test_claims_race(void **state)
{
	(void)state;
	struct slots *ring = make_ring(2);
	pthread_t threads[3];
	for (size_t i = 0; i < COUNT(threads); i++)
		assert_int_equal(pthread_create(&threads[i], NULL, churn, ring), 0);
	for (size_t i = 0; i < COUNT(threads); i++) {
		void *failed;
		pthread_join(threads[i], &failed);
		assert_null(failed);
	}
	slots_destroy(ring);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_geometry),
		cmocka_unit_test(test_claims),
		cmocka_unit_test(test_generations),
		cmocka_unit_test(test_pixels_cross),
		cmocka_unit_test(test_heads),
		cmocka_unit_test(test_attach_refuses),
		cmocka_unit_test(test_ring_cannot_be_resized),
		cmocka_unit_test(test_engine_cannot_write),
		cmocka_unit_test(test_claims_race),
	};
	return cmocka_run_group_tests_name("slots", tests, NULL, NULL);
}
