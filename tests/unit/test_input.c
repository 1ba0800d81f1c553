/* test_input.c - what may be opened as a picture, and the sentence for what may not. */
#include "unit.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "core/input.h"
#include "eye/eye.h"

static char *folder;

static struct scry_image
by_path(const char *path)
{
	return (struct scry_image){.path = path, .fd = -1};
}

static struct scry_image
by_bytes(const void *data, size_t size)
{
	return (struct scry_image){.data = data, .size = size, .fd = -1};
}

static struct scry_image
by_fd(int fd)
{
	return (struct scry_image){.fd = fd};
}

static void
expect(struct scry_image image, int error, const char *sentence)
{
	int before = unit_descriptors(), fd = 4711;
	uint64_t bytes = 4711;
	struct why why = {""};
	assert_int_equal(input_open(&image, &fd, &bytes, &why), error);
	if (error == 0) {
		assert_int_equal(fcntl(fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
		close(fd);
	} else {
		assert_int_equal(fd, 4711);
		assert_int_equal(bytes, 4711);
		if (strstr(why.text, sentence) == NULL)
			fail_msg("\"%s\" lacks \"%s\"", why.text, sentence);
	}
	assert_int_equal(unit_descriptors(), before);
}

static struct scry_image
at(const char *name)
{
	static char path[512];
	snprintf(path, sizeof(path), "%s/%s", folder, name);
	return by_path(path);
}

static void
test_paths(void **state)
{
	(void)state;
	unit_write(folder, "picture", "bytes");
	unit_write(folder, "empty", "");
	unit_write(folder, "secret", "x");
	expect(at("picture"), 0, "");
	expect(at("empty"), SCRY_E_INPUT, "it is empty");
	expect(at("missing"), SCRY_E_INPUT, "there is no such file");
	expect(at("picture/below"), SCRY_E_INPUT, "cannot be opened");
	expect(at("."), SCRY_E_INPUT, "it is a folder");
	expect(by_path(""), SCRY_E_INPUT, "there is no such file");
	expect(by_path("/dev/null"), SCRY_E_INPUT, "it is a device");
	expect(by_path("/dev/zero"), SCRY_E_INPUT, "it is a device");
	assert_int_equal(chmod(at("secret").path, 0), 0);
	if (geteuid() != 0)
		expect(at("secret"), SCRY_E_INPUT, "no permission");
}

/* A pipe that nobody writes to must not be waited for. */
static void
test_pipes(void **state)
{
	(void)state;
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int pipes[2], server = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(mkfifo(at("fifo").path, 0600), 0);
	expect(at("fifo"), SCRY_E_INPUT, "it is a pipe");
	snprintf(address.sun_path, sizeof(address.sun_path), "%s/socket", folder);
	assert_int_equal(bind(server, (struct sockaddr *)&address, sizeof(address)), 0);
	expect(at("socket"), SCRY_E_INPUT, "cannot be opened");
	assert_int_equal(pipe2(pipes, O_CLOEXEC), 0);
	expect(by_fd(pipes[0]), SCRY_E_INPUT, "it is a pipe");
	expect(by_fd(server), SCRY_E_INPUT, "it is a pipe");
	close(server);
	close(pipes[0]);
	close(pipes[1]);
}

static void
test_limits(void **state)
{
	(void)state;
	int fd = memfd_create("large", MFD_CLOEXEC);
	assert_int_equal(ftruncate(fd, (off_t)EYE_INPUT_MAX), 0);
	expect(by_fd(fd), 0, "");
	assert_int_equal(ftruncate(fd, (off_t)EYE_INPUT_MAX + 1), 0);
	expect(by_fd(fd), SCRY_E_LIMIT, "the limit is 64 MiB");
	expect(by_bytes("x", EYE_INPUT_MAX + 1), SCRY_E_LIMIT, "the limit is 64 MiB");
	expect(by_bytes("x", SIZE_MAX), SCRY_E_LIMIT, "the limit is 64 MiB");
	close(fd);
}

static void
test_bytes_and_descriptors(void **state)
{
	(void)state;
	struct scry_image image = by_bytes("picture", 7);
	char back[8] = "";
	uint64_t bytes;
	struct why why;
	int fd;
	assert_int_equal(input_open(&image, &fd, &bytes, &why), 0);
	assert_int_equal(bytes, 7);
	assert_int_equal(pread(fd, back, 7, 0), 7);
	assert_string_equal(back, "picture");
	assert_int_equal(pwrite(fd, "x", 1, 0), -1); /* sealed: it is ours and the eye's alone */
	close(fd);
	expect(by_bytes("", 0), SCRY_E_INPUT, "it is empty");
	expect(by_fd(-1), SCRY_E_ARGUMENT, "the descriptor -1 is not open");
	expect(by_fd(999), SCRY_E_ARGUMENT, "the descriptor 999 is not open");
	expect(by_bytes(NULL, 5), SCRY_E_ARGUMENT, "is not open");
}

/* Without a free descriptor that is the reason, not the caller's picture. */
static void
test_no_descriptors(void **state)
{
	(void)state;
	struct rlimit before, tight;
	struct why why = {""};
	int fd = 4711, here = open("/dev/null", O_RDONLY | O_CLOEXEC);
	uint64_t bytes;
	struct scry_image path = by_path("/etc/passwd"), other = by_fd(here), data = by_bytes("x", 1);
	getrlimit(RLIMIT_NOFILE, &before);
	tight = before;
	tight.rlim_cur = (rlim_t)here + 1; /* nothing below is free but what a test's output left */
	int used[64];
	size_t count = 0;
	setrlimit(RLIMIT_NOFILE, &tight);
	while ((used[count] = dup(here)) >= 0)
		count++;
	assert_int_equal(input_open(&path, &fd, &bytes, &why), SCRY_E_SYSTEM);
	assert_int_equal(input_open(&data, &fd, &bytes, &why), SCRY_E_SYSTEM);
	assert_int_equal(input_open(&other, &fd, &bytes, &why), SCRY_E_SYSTEM);
	setrlimit(RLIMIT_NOFILE, &before);
	assert_int_equal(fd, 4711);
	while (count > 0)
		close(used[--count]);
	close(here);
}

static int
setup(void **state)
{
	(void)state;
	folder = unit_folder();
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	unit_remove(folder);
	free(folder);
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_paths), cmocka_unit_test(test_pipes),
	                                   cmocka_unit_test(test_limits), cmocka_unit_test(test_bytes_and_descriptors),
	                                   cmocka_unit_test(test_no_descriptors)};
	return cmocka_run_group_tests_name("input", tests, setup, teardown);
}
