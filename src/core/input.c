/* input.c - see input.h. */
#include "core/input.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "eye/eye.h"

static int
open_path(const char *path, struct why *why)
{
	/* O_NONBLOCK: opening a pipe that nobody writes to must not wait; fstat then refuses it. */
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (fd >= 0)
		return fd;
	int error = errno;
	if (error == ENOENT && (strncmp(path, "http://", 7) == 0 || strncmp(path, "https://", 8) == 0))
		return why_set(why, SCRY_E_INPUT,
		               "addresses are not fetched by this version; pipe it in: curl -s ADDRESS | scry describe -");
	if (error == ENOENT)
		return why_set(why, SCRY_E_INPUT, "there is no such file");
	if (error == EACCES)
		return why_set(why, SCRY_E_INPUT, "you have no permission to read it");
	if (error == EMFILE || error == ENFILE)
		return why_set(why, SCRY_E_SYSTEM, "cannot be opened: %s", strerror(error));
	return why_set(why, SCRY_E_INPUT, "cannot be opened: %s", strerror(error));
}

static int
open_bytes(const struct scry_image *image, struct why *why)
{
	if (image->size > EYE_INPUT_MAX)
		return why_set(why, SCRY_E_LIMIT, "it has %zu bytes; the limit is %llu MiB", image->size,
		               (unsigned long long)(EYE_INPUT_MAX >> 20));
	int fd = fd_sealed_copy("scry-picture", image->data, image->size);
	return fd >= 0 ? fd : why_set(why, SCRY_E_SYSTEM, "cannot be copied: %s", strerror(-fd));
}

static int
open_any(const struct scry_image *image, struct why *why)
{
	if (image->path != NULL)
		return open_path(image->path, why);
	if (image->data != NULL)
		return open_bytes(image, why);
	int fd = fcntl(image->fd, F_DUPFD_CLOEXEC, 0);
	if (fd >= 0)
		return fd;
	if (errno == EBADF)
		return why_set(why, SCRY_E_ARGUMENT, "the descriptor %d is not open", image->fd);
	return why_set(why, SCRY_E_SYSTEM, "cannot be opened: %s", strerror(errno));
}

static int
check(const struct stat *st, struct why *why)
{
	if (S_ISDIR(st->st_mode))
		return why_set(why, SCRY_E_INPUT, "it is a folder; name the pictures in it");
	if (S_ISFIFO(st->st_mode) || S_ISSOCK(st->st_mode))
		return why_set(why, SCRY_E_INPUT, "it is a pipe, not a file; `scry describe -` reads standard input");
	if (!S_ISREG(st->st_mode))
		return why_set(why, SCRY_E_INPUT, "it is a device, not a picture file");
	if (st->st_size == 0)
		return why_set(why, SCRY_E_INPUT, "it is empty");
	if ((uint64_t)st->st_size > EYE_INPUT_MAX)
		return why_set(why, SCRY_E_LIMIT, "it has %lld bytes; the limit is %llu MiB", (long long)st->st_size,
		               (unsigned long long)(EYE_INPUT_MAX >> 20));
	return 0;
}

int
input_open(const struct scry_image *image, int *out, uint64_t *bytes, struct why *why)
{
	struct stat st;
	_cleanup_fd_ int fd = open_any(image, why);
	if (fd < 0)
		return fd;
	if (fstat(fd, &st) < 0)
		return why_set(why, SCRY_E_SYSTEM, "cannot be examined: %s", strerror(errno));
	int error = check(&st, why);
	if (error < 0)
		return error;
	*out = fd;
	*bytes = (uint64_t)st.st_size;
	fd = -1;
	return 0;
}
