/* sandbox_landlock.c - no file access at all: a Landlock ruleset without a rule. Everything that a worker may read comes
 * to it as an open descriptor; where a library insists on a name, /proc/self/fd/N is one, and each such file gets a rule
 * of its own. Numbers of the rights follow linux/landlock.h, which on older distributions knows
 * fewer than the running kernel; hence the ABI table.
 */
#include <linux/landlock.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "wire/sandbox.h"

/* struct landlock_ruleset_attr as of ABI 6; older kernels take the prefix they know. */
struct ruleset {
	uint64_t fs;
	uint64_t net;
	uint64_t scoped;
};

static void
allow_reading(int ruleset, const int *fds, unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		struct landlock_path_beneath_attr rule = {.allowed_access = LANDLOCK_ACCESS_FS_READ_FILE, .parent_fd = fds[i]};
		syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &rule, 0);
	}
}

int
sandbox_landlock(int32_t *abi_out, const int *fds, unsigned count)
{
	long abi = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
	*abi_out = abi > 0 ? (int32_t)abi : 0;
	if (abi < 1)
		return 0;
	/* Bits 0..12 came with ABI 1, REFER (13) with 2, TRUNCATE (14) with 3, IOCTL_DEV (15) with 5. */
	unsigned bits = abi >= 5 ? 16 : abi >= 3 ? 15 : abi >= 2 ? 14 : 13;
	struct ruleset rules = {.fs = ((uint64_t)1 << bits) - 1};
	size_t size = sizeof(rules.fs);
	if (abi >= 4) { /* TCP bind and connect */
		rules.net = 3;
		size = offsetof(struct ruleset, scoped);
	}
	if (abi >= 6) { /* abstract Unix sockets and signals to processes outside */
		rules.scoped = 3;
		size = sizeof(rules);
	}
	int fd = (int)syscall(SYS_landlock_create_ruleset, &rules, size, 0);
	if (fd < 0)
		return 0;
	/* A file that cannot be given a rule (on a filesystem without inodes of its own) is lost, not the sandbox. */
	allow_reading(fd, fds, count);
	int holds = syscall(SYS_landlock_restrict_self, fd, 0) == 0;
	close(fd);
	return holds;
}
