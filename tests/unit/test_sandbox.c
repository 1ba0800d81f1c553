/* test_sandbox.c - both sandboxes, entered by a child of this test: what they deny, and what they must leave. */
#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "wire/sandbox.h"

#define ALL (PROTO_SANDBOX_NO_NEW_PRIVS | PROTO_SANDBOX_LIMITS | PROTO_SANDBOX_NETWORK | PROTO_SANDBOX_SYSCALLS)

#ifdef __SANITIZE_THREAD__
#define THREAD_SANITIZER true /* its runtime dies of a thread that cannot be made */
#else
#define THREAD_SANITIZER false
#endif

/* A check inside of the sandbox: its line number is the child's exit status, 0 when all held. */
#define MUST(condition)                                                                                                \
	do {                                                                                                               \
		if (!(condition))                                                                                              \
			return __LINE__ % 250 + 1;                                                                                 \
	} while (0)

static uint32_t
enter(enum sandbox_kind kind)
{
	int32_t abi = -1;
	uint32_t holds = sandbox_enter(kind, &abi);
	return abi >= 0 ? holds : 0;
}

static void *
in_thread(void *user)
{
	return user;
}

static int
probes(enum sandbox_kind kind)
{
	struct proto_probed probed;
	memset(&probed, 0xff, sizeof(probed));
	MUST((enter(kind) & ALL) == ALL);
	sandbox_probe(&probed);
	MUST(probed.open_file == 0 && probed.write_file == 0 && probed.socket == 0);
	MUST(probed.exec == 0 && probed.ptrace == 0 && probed.reserved == 0);
	return 0;
}

static int
common(enum sandbox_kind kind)
{
	pid_t parent = getppid();
	int pair[2], fds[2];
	MUST(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair) == 0);
	MUST((enter(kind) & ALL) == ALL);
	/* what is left: the descriptors it has, memory, memory files */
	MUST(send(pair[0], "x", 1, 0) == 1);
	int fd = memfd_create("result", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	MUST(fd >= 0 && write(fd, "x", 1) == 1 && fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE) == 0);
	void *memory = mmap(NULL, (size_t)64 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	MUST(memory != MAP_FAILED);
	/* what is not: files by name, other processes, new ones, more privileges */
	MUST(open("/proc/self/maps", O_RDONLY) < 0);
	MUST(open(".", O_RDONLY) < 0);
	MUST(kill(parent, 0) < 0);
	MUST(syscall(SYS_tgkill, parent, parent, 0) < 0);
	MUST(fork() < 0);
	MUST(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) != 0);
	MUST(socketpair(AF_UNIX, SOCK_STREAM, 0, fds) < 0);
	return 0;
}

/* An engine's library starts threads; a decoder never does. */
static int
threads(enum sandbox_kind kind)
{
	pthread_t thread;
	MUST((enter(kind) & ALL) == ALL);
	int error = pthread_create(&thread, NULL, in_thread, NULL);
	MUST((error == 0) == (kind == SANDBOX_ENGINE));
	if (error == 0)
		pthread_join(thread, NULL);
	return 0;
}

/* abort() must end the process, by its own signal. */
static int
ends(enum sandbox_kind kind)
{
	MUST((enter(kind) & ALL) == ALL);
	signal(SIGABRT, SIG_DFL);
	abort();
}

static int
limits(enum sandbox_kind kind)
{
	struct rlimit limit;
	MUST((enter(kind) & ALL) == ALL);
	int fd = memfd_create("large", MFD_CLOEXEC);
	MUST(fd >= 0);
	signal(SIGXFSZ, SIG_IGN);
	MUST(ftruncate(fd, (off_t)129 << 20) < 0);
	if (kind == SANDBOX_ENGINE)
		MUST(getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur <= 64);
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
	/* A bomb that asks for two gigabytes does not get them. */
	if (kind == SANDBOX_DECODER)
		MUST(mmap(NULL, (size_t)2 << 30, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED);
#endif
	return 0;
}

static void
run(int (*inside)(enum sandbox_kind kind), int wanted_signal)
{
	for (int kind = SANDBOX_DECODER; kind <= SANDBOX_ENGINE; kind++) {
		int status;
		fflush(stdout);
		pid_t pid = fork();
		if (pid == 0)
			_exit(inside((enum sandbox_kind)kind));
		assert_true(pid > 0);
		assert_int_equal(waitpid(pid, &status, 0), pid);
		if (wanted_signal != 0) {
			assert_true(WIFSIGNALED(status) && WTERMSIG(status) == wanted_signal);
			continue;
		}
		if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
			fail_msg("%s: status %x, MUST of line %d (modulo 250)", kind == SANDBOX_DECODER ? "decoder" : "engine",
			         (unsigned)status, WEXITSTATUS(status) - 1);
	}
}

static void
test_probes(void **state)
{
	(void)state;
	run(probes, 0);
}

static void
test_common(void **state)
{
	(void)state;
	run(common, 0);
}

static void
test_threads(void **state)
{
	(void)state;
	if (!THREAD_SANITIZER)
		run(threads, 0);
}

static void
test_ends(void **state)
{
	(void)state;
	run(ends, SIGABRT);
}

static void
test_limits(void **state)
{
	(void)state;
	run(limits, 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_probes), cmocka_unit_test(test_common),
	                                   cmocka_unit_test(test_threads), cmocka_unit_test(test_ends),
	                                   cmocka_unit_test(test_limits)};
	return cmocka_run_group_tests_name("sandbox", tests, NULL, NULL);
}
