/* sandbox.c - enters the sandbox in order, and probes it; see sandbox.h. Runs in workers only. */
#include "wire/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

/* Address space of a decoder: a 64-megapixel picture at 4 bytes a pixel, the same again for its conversion, the 16 MiB
 * slots of its rings and the input. A bomb that wants more fails to allocate. */
#define DECODER_ADDRESS_SPACE ((rlim_t)1536 << 20)
/* memfds count as files here; the largest a worker writes is an encoded JPEG. */
#define LARGEST_FILE ((rlim_t)128 << 20)
#define DESCRIPTORS 64

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1 /* shadow memory needs terabytes of address space */
#else
#define SANITIZED 0
#endif

static int
limit(int resource, rlim_t value)
{
	struct rlimit now;
	if (getrlimit(resource, &now) < 0)
		return -1;
	if (now.rlim_max != RLIM_INFINITY && now.rlim_max < value)
		value = now.rlim_max;
	return setrlimit((__rlimit_resource_t)resource, &(struct rlimit){.rlim_cur = value, .rlim_max = value});
}

static int
limit_all(enum sandbox_kind kind)
{
	if (limit(RLIMIT_CORE, 0) < 0 || limit(RLIMIT_NOFILE, DESCRIPTORS) < 0 || limit(RLIMIT_FSIZE, LARGEST_FILE) < 0)
		return 0;
	if (kind == SANDBOX_DECODER && !SANITIZED && limit(RLIMIT_AS, DECODER_ADDRESS_SPACE) < 0)
		return 0;
	return 1;
}

uint32_t
sandbox_enter(enum sandbox_kind kind, int32_t *landlock)
{
	uint32_t holds = 0;
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0)
		holds |= PROTO_SANDBOX_NO_NEW_PRIVS;
	/* Not dumpable: no other process of this user may look into a worker, and none leaves a core with pictures. */
	prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
	if (limit_all(kind))
		holds |= PROTO_SANDBOX_LIMITS;
	if (kind != SANDBOX_LOADER && sandbox_landlock(landlock, NULL, 0))
		holds |= PROTO_SANDBOX_FILES;
	if (sandbox_seccomp(kind))
		holds |= PROTO_SANDBOX_SYSCALLS | PROTO_SANDBOX_NETWORK;
	return holds;
}

int
sandbox_files(const int *fds, unsigned count)
{
	int32_t abi;
	return sandbox_landlock(&abi, fds, count);
}

static uint32_t
could_open(const char *path, int flags)
{
	int fd = open(path, flags | O_CLOEXEC, 0600);
	if (fd < 0)
		return 0;
	close(fd);
	return 1;
}

static uint32_t
could_socket(int family, int type)
{
	int fd = socket(family, type | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return 0;
	close(fd);
	return 1;
}

static uint32_t
could_ptrace(void)
{
	pid_t parent = getppid();
	if (ptrace(PTRACE_SEIZE, parent, NULL, NULL) < 0)
		return 0;
	ptrace(PTRACE_DETACH, parent, NULL, NULL);
	return 1;
}

void
sandbox_probe(struct proto_probed *out)
{
	struct proto_probed probed = {0};
	char *const argv[] = {(char *)"true", NULL};
	char *const envp[] = {NULL};
	probed.open_file = could_open("/etc/passwd", O_RDONLY);
	probed.write_file = could_open("/tmp/.scry-probe", O_WRONLY | O_CREAT) || could_open("/dev/null", O_WRONLY);
	probed.socket = could_socket(AF_INET, SOCK_STREAM) || could_socket(AF_INET6, SOCK_DGRAM) ||
		could_socket(AF_UNIX, SOCK_STREAM) || could_socket(AF_NETLINK, SOCK_RAW);
	probed.ptrace = could_ptrace();
	/* Returns only when it was refused; else this process becomes `true`, which the core notices. */
	probed.exec = execve("/bin/true", argv, envp) == 0;
	*out = probed;
}
