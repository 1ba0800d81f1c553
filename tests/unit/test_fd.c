/* test_fd.c - descriptors that close themselves, sealed memory files, writing everything. */
#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"

static void
test_close(void **state)
{
	(void)state;
	int before = unit_descriptors(), fd = -1;
	errno = 42;
	fd_close(&fd);
	assert_int_equal(fd, -1);
	fd = dup(STDERR_FILENO);
	int closed = fd;
	errno = 42;
	fd_close(&fd);
	assert_int_equal(fd, -1);
	assert_int_equal(errno, 42);
	assert_int_equal(fcntl(closed, F_GETFD), -1);
	{
		_cleanup_fd_ int scoped = dup(STDERR_FILENO);
		_cleanup_free_ char *text = strdup("freed by its scope");
		assert_true(scoped >= 0 && text != NULL);
	}
	assert_int_equal(unit_descriptors(), before);
}

static void
expect_sealed(int fd, const char *bytes, size_t size)
{
	char *back = malloc(size + 1);
	assert_int_equal(lseek(fd, 0, SEEK_END), size);
	assert_int_equal(pread(fd, back, size + 1, 0), size);
	assert_memory_equal(back, bytes, size);
	free(back);
	errno = 0;
	assert_int_equal(pwrite(fd, "x", 1, 0), -1);
	assert_int_equal(errno, EPERM);
	assert_int_equal(ftruncate(fd, 0), -1);
	assert_int_equal(ftruncate(fd, (off_t)size + 1), -1);
	assert_ptr_equal(mmap(NULL, 4096, PROT_WRITE, MAP_SHARED, fd, 0), MAP_FAILED);
	assert_int_equal(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE), -1);
	assert_int_equal(fcntl(fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
}

static void
test_sealed_copy(void **state)
{
	(void)state;
	int before = unit_descriptors();
	int fd = fd_sealed_copy("test", "words", 5);
	assert_true(fd >= 0);
	expect_sealed(fd, "words", 5);
	close(fd);
	fd = fd_sealed_copy("empty", "", 0);
	assert_true(fd >= 0);
	assert_int_equal(lseek(fd, 0, SEEK_END), 0);
	close(fd);
	assert_int_equal(fd_sealed_copy("from nowhere", NULL, 5), -EFAULT);
	assert_int_equal(unit_descriptors(), before);
}

struct source {
	int fd;
	size_t size;
};

static void *
pour(void *user)
{
	struct source *source = user;
	char *bytes = malloc(source->size);
	memset(bytes, 'p', source->size);
	assert_int_equal(fd_write_all(source->fd, bytes, source->size), 0);
	free(bytes);
	close(source->fd);
	return NULL;
}

/* A pipe comes in pieces of its own size; the limit is a limit and not one byte less. */
static void
test_sealed_drain(void **state)
{
	(void)state;
	static const size_t sizes[] = {0,     1, 4096, ((size_t)256 << 10) - 1, (size_t)256 << 10, ((size_t)256 << 10) + 1,
	                               999999};
	int before = unit_descriptors();
	for (size_t i = 0; i < COUNT(sizes); i++) {
		int pipes[2];
		size_t size = 4711;
		pthread_t thread;
		assert_int_equal(pipe2(pipes, O_CLOEXEC), 0);
		struct source source = {.fd = pipes[1], .size = sizes[i]};
		assert_int_equal(pthread_create(&thread, NULL, pour, &source), 0);
		int fd = fd_sealed_drain("test", pipes[0], sizes[i], &size);
		pthread_join(thread, NULL);
		assert_true(fd >= 0);
		assert_int_equal(size, sizes[i]);
		assert_int_equal(lseek(fd, 0, SEEK_END), sizes[i]);
		close(fd);
		close(pipes[0]);
	}
	assert_int_equal(unit_descriptors(), before);
}

static void
test_sealed_drain_refuses(void **state)
{
	(void)state;
	int before = unit_descriptors(), pipes[2];
	size_t size = 4711;
	assert_int_equal(pipe2(pipes, O_CLOEXEC), 0);
	assert_int_equal(fd_write_all(pipes[1], "12345", 5), 0);
	close(pipes[1]);
	assert_int_equal(fd_sealed_drain("test", pipes[0], 4, &size), -EFBIG);
	close(pipes[0]);
	assert_int_equal(fd_sealed_drain("test", -1, 4, &size), -EBADF);
	assert_int_equal(size, 4711);
	assert_int_equal(unit_descriptors(), before);
}

static void
test_write_all(void **state)
{
	(void)state;
	signal(SIGPIPE, SIG_IGN);
	int pipes[2];
	assert_int_equal(pipe2(pipes, O_CLOEXEC), 0);
	assert_int_equal(fd_write_all(pipes[1], NULL, 0), 0);
	close(pipes[0]);
	assert_int_equal(fd_write_all(pipes[1], "x", 1), -EPIPE);
	close(pipes[1]);
	assert_int_equal(fd_write_all(pipes[1], "x", 1), -EBADF);
}

static void
test_clock(void **state)
{
	(void)state;
	uint64_t last = clock_us();
	for (int i = 0; i < 1000; i++) {
		uint64_t now = clock_us();
		assert_true(now >= last);
		last = now;
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_close),        cmocka_unit_test(test_sealed_copy),
		cmocka_unit_test(test_sealed_drain), cmocka_unit_test(test_sealed_drain_refuses),
		cmocka_unit_test(test_write_all),    cmocka_unit_test(test_clock),
	};
	return cmocka_run_group_tests_name("fd", tests, NULL, NULL);
}
