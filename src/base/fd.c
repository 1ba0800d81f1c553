#include "base/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#define DRAIN_CHUNK ((size_t)256 << 10)
#define FD_SEALS (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL)

void
fd_close(int *fd)
{
	if (*fd < 0)
		return;
	int kept = errno;
	close(*fd);
	errno = kept;
	*fd = -1;
}

void
fd_free_pointer(void *pointer_to_pointer)
{
	free(*(void **)pointer_to_pointer);
}

int
fd_write_all(int fd, const void *data, size_t size)
{
	const uint8_t *at = data;
	while (size > 0) {
		ssize_t n = write(fd, at, size);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		at += n;
		size -= (size_t)n;
	}
	return 0;
}

static int
seal(int fd)
{
	return fcntl(fd, F_ADD_SEALS, FD_SEALS) < 0 ? -errno : 0;
}

int
fd_sealed_copy(const char *name, const void *data, size_t size)
{
	_cleanup_fd_ int fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (fd < 0)
		return -errno;
	int error = fd_write_all(fd, data, size);
	if (error == 0)
		error = seal(fd);
	if (error < 0)
		return error;
	int made = fd;
	fd = -1;
	return made;
}

int
fd_sealed_drain(const char *name, int fd, size_t limit, size_t *size)
{
	_cleanup_free_ uint8_t *chunk = malloc(DRAIN_CHUNK);
	if (chunk == NULL)
		return -ENOMEM;
	_cleanup_fd_ int out = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (out < 0)
		return -errno;
	size_t total = 0;
	for (;;) {
		ssize_t n = read(fd, chunk, DRAIN_CHUNK);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			break;
		total += (size_t)n;
		if (total > limit)
			return -EFBIG;
		int error = fd_write_all(out, chunk, (size_t)n);
		if (error < 0)
			return error;
	}
	int error = seal(out);
	if (error < 0)
		return error;
	*size = total;
	int made = out;
	out = -1;
	return made;
}
