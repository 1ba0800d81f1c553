/* spawn.c - see spawn.h. Runs in the core.
 *
 * posix_spawn and a pidfd rather than uv_spawn: libuv installs a SIGCHLD handler, and libscry lives in other people's
 * processes, whose signals are theirs. posix_spawn (vfork inside) is also cheap in a host with much memory.
 */
#include "run/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fd.h"
#include "scry.h"
#include "wire/proto.h"

#define ENV_MAX 24

/* What a worker may know of our environment. Nothing secret passes: no keys, no home, no search paths. */
static const char *const env_passed[] = {"ASAN_OPTIONS", "UBSAN_OPTIONS", "TSAN_OPTIONS", "LSAN_OPTIONS", "TMPDIR"};

static size_t
make_env(const char *const extra[], char *env[ENV_MAX])
{
	size_t n = 0;
	env[n++] = (char *)"LC_ALL=C.UTF-8";
	for (size_t i = 0; i < sizeof(env_passed) / sizeof(env_passed[0]); i++) {
		size_t length = strlen(env_passed[i]);
		for (char **e = environ; *e != NULL; e++) {
			/* The room is checked: an environment may name a variable many times over. */
			if (n < ENV_MAX / 2 && strncmp(*e, env_passed[i], length) == 0 && (*e)[length] == '=')
				env[n++] = *e;
		}
	}
	for (size_t i = 0; extra != NULL && extra[i] != NULL && n < ENV_MAX - 1; i++)
		env[n++] = (char *)extra[i];
	env[n] = NULL;
	return n;
}

/* The descriptors as the worker sees them: 0 empty, 1 and 2 the error pipe, 3 the wire, no other. The sources must be
 * above 3 already: dup2 of a descriptor onto itself would keep its close-on-exec flag. */
static int
make_actions(posix_spawn_file_actions_t *actions, int wire, int errors)
{
	int error = posix_spawn_file_actions_init(actions);
	if (error != 0)
		return error;
	error = posix_spawn_file_actions_addopen(actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
	if (error == 0)
		error = posix_spawn_file_actions_adddup2(actions, errors, STDOUT_FILENO);
	if (error == 0)
		error = posix_spawn_file_actions_adddup2(actions, errors, STDERR_FILENO);
	if (error == 0)
		error = posix_spawn_file_actions_adddup2(actions, wire, PROTO_FD);
	if (error == 0)
		error = posix_spawn_file_actions_addclosefrom_np(actions, PROTO_FD + 1);
	if (error != 0)
		posix_spawn_file_actions_destroy(actions);
	return error;
}

static int
make_attributes(posix_spawnattr_t *attributes)
{
	sigset_t none, all;
	sigemptyset(&none);
	sigfillset(&all);
	int error = posix_spawnattr_init(attributes);
	if (error != 0)
		return error;
	posix_spawnattr_setsigmask(attributes, &none);
	posix_spawnattr_setsigdefault(attributes, &all);
	/* Its own group: Ctrl-C in a terminal is the core's to handle, a worker is then told to stop. */
	posix_spawnattr_setpgroup(attributes, 0);
	posix_spawnattr_setflags(attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETPGROUP);
	return 0;
}

/* Moves a descriptor above those that the worker gets. */
static int
above(int *fd)
{
	int high = fcntl(*fd, F_DUPFD_CLOEXEC, PROTO_FD + 1);
	if (high < 0)
		return -errno;
	fd_close(fd);
	*fd = high;
	return 0;
}

static int
run_program(char *const argv[], const char *const extra[], int wire, int errors, pid_t *pid)
{
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attributes;
	char *env[ENV_MAX];
	make_env(extra, env);
	int error = make_actions(&actions, wire, errors);
	if (error != 0)
		return error;
	error = make_attributes(&attributes);
	if (error == 0) {
		error = posix_spawn(pid, argv[0], &actions, &attributes, argv, env);
		posix_spawnattr_destroy(&attributes);
	}
	posix_spawn_file_actions_destroy(&actions);
	return error;
}

static int
refused(struct why *why, const char *what, int error)
{
	return why_set(why, SCRY_E_SYSTEM, "cannot make %s for a worker: %s", what, strerror(error));
}

/* What may be there again in a moment, unlike a program that is missing or none. */
static bool
is_shortage(int error)
{
	return error == ENOMEM || error == EAGAIN || error == EMFILE || error == ENFILE;
}

int
spawn_worker(char *const argv[], const char *const env[], struct spawn_child *out, struct why *why)
{
	int pair[2], pipes[2];
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return refused(why, "a socket pair", errno);
	_cleanup_fd_ int ours = pair[0], theirs = pair[1];
	if (pipe2(pipes, O_CLOEXEC) < 0)
		return refused(why, "a pipe", errno);
	_cleanup_fd_ int read_end = pipes[0], write_end = pipes[1];
	if (above(&theirs) < 0 || above(&write_end) < 0 || fcntl(ours, F_SETFL, O_NONBLOCK) < 0 ||
	    fcntl(read_end, F_SETFL, O_NONBLOCK) < 0)
		return refused(why, "descriptors", errno);
	pid_t pid;
	int error = run_program(argv, env, theirs, write_end, &pid);
	if (error != 0 && is_shortage(error))
		return why_set(why, SCRY_E_SYSTEM, "cannot start %s: %s", argv[0], strerror(error));
	if (error != 0)
		return why_set(why, SCRY_E_UNAVAILABLE, "cannot start %s: %s; SCRY_WORKERS can name the folder of the workers",
		               argv[0], strerror(error));
	int pidfd = pidfd_open(pid, 0);
	if (pidfd < 0) {
		error = errno;
		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
		return refused(why, "a process descriptor", error);
	}
	*out = (struct spawn_child){.pid = pid, .pidfd = pidfd, .socket = ours, .errors = read_end};
	ours = read_end = -1;
	return 0;
}

void
spawn_kill(const struct spawn_child *child)
{
	/* Without that system call (Linux 5.1 and 5.2, valgrind): it has not been reaped, so its number is still its own. */
	if (pidfd_send_signal(child->pidfd, SIGKILL, NULL, 0) < 0 && errno == ENOSYS)
		kill(child->pid, SIGKILL);
}

void
spawn_end(const struct spawn_child *child)
{
	struct pollfd end = {.fd = child->pidfd, .events = POLLIN};
	spawn_kill(child);
	/* By poll: libuv has made the descriptor non-blocking, and waitid() on such a one returns EAGAIN and does not wait. */
	while (poll(&end, 1, -1) < 0 && errno == EINTR)
		continue;
	waitid(P_PIDFD, (id_t)child->pidfd, &(siginfo_t){0}, WEXITED | WNOHANG);
}
