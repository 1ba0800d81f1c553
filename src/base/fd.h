/* fd.h - descriptors and memory files. All descriptors are made close-on-exec. */
#ifndef BASE_FD_H
#define BASE_FD_H

#include <stdbool.h>
#include <stddef.h>

/* Closes *fd unless it is negative and sets it to -1; errno is kept. */
void fd_close(int *fd);

/* A variable that closes its descriptor at the end of its scope; and one that frees its memory. */
#define _cleanup_fd_ __attribute__((cleanup(fd_close)))
#define _cleanup_free_ __attribute__((cleanup(fd_free_pointer)))
void fd_free_pointer(void *pointer_to_pointer);

/* A sealed memfd that holds a copy of the bytes: nobody can change or resize it. fd or -errno. */
int fd_sealed_copy(const char *name, const void *data, size_t size);

/* Reads `fd` to its end into a sealed memfd, at most `limit` bytes; blocks as `fd` does.
 * fd; -EFBIG when there is more; or -errno. *size gets the number of bytes. */
int fd_sealed_drain(const char *name, int fd, size_t limit, size_t *size);

/* Writes all of it, blocking, through short writes and signals. 0 or -errno. */
int fd_write_all(int fd, const void *data, size_t size);

#endif
