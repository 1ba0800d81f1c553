/* pressure.c - see pressure.h; Documentation/accounting/psi.rst of the kernel. Runs in the core. */
#include "core/pressure.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"

/* Microseconds of stall in microseconds of window; without privileges a window is a multiple of 2 s. */
static const char trigger[] = "some 150000 2000000";

struct pressure {
	int fd;
	uv_poll_t poll;
	void (*tight)(void *user);
	void *user;
};

static void
on_event(uv_poll_t *handle, int status, int events)
{
	struct pressure *pressure = handle->data;
	/* An error is the kernel taking the trigger away; there is nothing to watch then. */
	if (status < 0)
		uv_poll_stop(handle);
	else if ((events & UV_PRIORITIZED) != 0)
		pressure->tight(pressure->user);
}

struct pressure *
pressure_watch(uv_loop_t *loop, void (*tight)(void *user), void *user)
{
	struct pressure *pressure = calloc(1, sizeof(*pressure));
	if (pressure == NULL)
		return NULL;
	pressure->fd = open("/proc/pressure/memory", O_RDWR | O_NONBLOCK | O_CLOEXEC);
	if (pressure->fd < 0 || write(pressure->fd, trigger, sizeof(trigger)) != (ssize_t)sizeof(trigger) ||
	    uv_poll_init(loop, &pressure->poll, pressure->fd) < 0) {
		fd_close(&pressure->fd);
		free(pressure);
		return NULL;
	}
	pressure->tight = tight;
	pressure->user = user;
	pressure->poll.data = pressure;
	uv_poll_start(&pressure->poll, UV_PRIORITIZED, on_event);
	return pressure;
}

static void
on_closed(uv_handle_t *handle)
{
	struct pressure *pressure = handle->data;
	fd_close(&pressure->fd);
	free(pressure);
}

void
pressure_destroy(struct pressure *pressure)
{
	if (pressure != NULL)
		uv_close((uv_handle_t *)&pressure->poll, on_closed);
}
