/* sandbox_seccomp.c - the system calls of a worker. The decoder reads hostile pictures with known code: it gets a list
 * of what it may call. Engines run model libraries that use threads, files of /proc and more, differently in each
 * release: they get a list of what nobody in a worker needs. Refused calls fail with EPERM instead of killing, so
 * that a library that only asks (a new libc, say) goes on, and the probe can report.
 */
#include <errno.h>
#include <sched.h>
#include <seccomp.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "wire/sandbox.h"

#define CLONE_NAMESPACES                                                                                               \
	(CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWCGROUP)

/* Memory, the descriptors it has, time, threads' futexes, its own end. No call here takes a path or makes a socket. */
static const int decoder_allowed[] = {
	SCMP_SYS(brk),
	SCMP_SYS(clock_getres),
	SCMP_SYS(clock_gettime),
	SCMP_SYS(clock_nanosleep),
	SCMP_SYS(close),
	SCMP_SYS(dup),
	SCMP_SYS(exit),
	SCMP_SYS(exit_group),
	SCMP_SYS(fallocate),
	SCMP_SYS(fcntl),
	SCMP_SYS(ftruncate),
	SCMP_SYS(futex),
	SCMP_SYS(getpid),
	SCMP_SYS(getppid),
	SCMP_SYS(getrandom),
	SCMP_SYS(getrusage),
	SCMP_SYS(gettid),
	SCMP_SYS(gettimeofday),
	SCMP_SYS(lseek),
	SCMP_SYS(madvise),
	SCMP_SYS(memfd_create),
	SCMP_SYS(mmap),
	SCMP_SYS(mprotect),
	SCMP_SYS(mremap),
	SCMP_SYS(munmap),
	SCMP_SYS(nanosleep),
	SCMP_SYS(poll),
	SCMP_SYS(ppoll),
	SCMP_SYS(pread64),
	SCMP_SYS(pwrite64),
	SCMP_SYS(read),
	SCMP_SYS(readv),
	SCMP_SYS(recvfrom),
	SCMP_SYS(recvmsg),
	SCMP_SYS(restart_syscall),
	SCMP_SYS(rseq),
	SCMP_SYS(rt_sigaction),
	SCMP_SYS(rt_sigprocmask),
	SCMP_SYS(rt_sigreturn),
	SCMP_SYS(sched_getaffinity),
	SCMP_SYS(sched_yield),
	SCMP_SYS(sendmsg),
	SCMP_SYS(sendto),
	SCMP_SYS(set_robust_list),
	SCMP_SYS(setitimer),
	SCMP_SYS(sigaltstack),
	SCMP_SYS(sysinfo),
	SCMP_SYS(uname),
	SCMP_SYS(write),
	SCMP_SYS(writev),
};

/* The ways to other files, programs, processes, the network and the kernel's inside. */
static const int engine_denied[] = {
	SCMP_SYS(accept),
	SCMP_SYS(accept4),
	SCMP_SYS(acct),
	SCMP_SYS(add_key),
	SCMP_SYS(adjtimex),
	SCMP_SYS(bind),
	SCMP_SYS(bpf),
	SCMP_SYS(chroot),
	SCMP_SYS(clock_adjtime),
	SCMP_SYS(clock_settime),
	SCMP_SYS(connect),
	SCMP_SYS(delete_module),
	SCMP_SYS(execve),
	SCMP_SYS(execveat),
	SCMP_SYS(fanotify_init),
	SCMP_SYS(finit_module),
	SCMP_SYS(fork),
	SCMP_SYS(init_module),
	SCMP_SYS(io_uring_enter),
	SCMP_SYS(io_uring_register),
	SCMP_SYS(io_uring_setup),
	SCMP_SYS(ioperm),
	SCMP_SYS(iopl),
	SCMP_SYS(kcmp),
	SCMP_SYS(kexec_file_load),
	SCMP_SYS(kexec_load),
	SCMP_SYS(keyctl),
	SCMP_SYS(kill),
	SCMP_SYS(listen),
	SCMP_SYS(lookup_dcookie),
	SCMP_SYS(mount),
	SCMP_SYS(mount_setattr),
	SCMP_SYS(move_mount),
	SCMP_SYS(move_pages),
	SCMP_SYS(name_to_handle_at),
	SCMP_SYS(open_by_handle_at),
	SCMP_SYS(open_tree),
	SCMP_SYS(perf_event_open),
	SCMP_SYS(personality),
	SCMP_SYS(pidfd_getfd),
	SCMP_SYS(pidfd_open),
	SCMP_SYS(pidfd_send_signal),
	SCMP_SYS(pivot_root),
	SCMP_SYS(process_madvise),
	SCMP_SYS(process_vm_readv),
	SCMP_SYS(process_vm_writev),
	SCMP_SYS(ptrace),
	SCMP_SYS(quotactl),
	SCMP_SYS(reboot),
	SCMP_SYS(request_key),
	SCMP_SYS(rt_sigqueueinfo),
	SCMP_SYS(rt_tgsigqueueinfo),
	SCMP_SYS(setdomainname),
	SCMP_SYS(sethostname),
	SCMP_SYS(setns),
	SCMP_SYS(settimeofday),
	SCMP_SYS(shmat),
	SCMP_SYS(shmget),
	SCMP_SYS(socket),
	SCMP_SYS(socketpair),
	SCMP_SYS(swapoff),
	SCMP_SYS(swapon),
	SCMP_SYS(syslog),
	SCMP_SYS(tkill),
	SCMP_SYS(umount2),
	SCMP_SYS(unshare),
	SCMP_SYS(userfaultfd),
	SCMP_SYS(vfork),
	SCMP_SYS(vhangup),
};

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static int
decoder_rules(scmp_filter_ctx filter)
{
	for (size_t i = 0; i < COUNT(decoder_allowed); i++) {
		if (seccomp_rule_add(filter, SCMP_ACT_ALLOW, decoder_allowed[i], 0) < 0)
			return -1;
	}
	/* abort() signals itself; it may signal nobody else. */
	return seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(tgkill), 1, SCMP_A0(SCMP_CMP_EQ, (scmp_datum_t)getpid()));
}

static int
engine_rules(scmp_filter_ctx filter)
{
	for (size_t i = 0; i < COUNT(engine_denied); i++) {
		int error = seccomp_rule_add(filter, SCMP_ACT_ERRNO(EPERM), engine_denied[i], 0);
		/* -EDOM: a call that this architecture does not have. */
		if (error < 0 && error != -EDOM)
			return -1;
	}
	if (seccomp_rule_add(filter, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(tgkill), 1,
	                     SCMP_A0(SCMP_CMP_NE, (scmp_datum_t)getpid())) < 0)
		return -1;
	/* Typing into the terminal that started us. */
	if (seccomp_rule_add(filter, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(ioctl), 1, SCMP_A1(SCMP_CMP_EQ, TIOCSTI)) < 0)
		return -1;
	/* clone3 hides its flags behind a pointer; without it libc falls back to clone, whose flags can be seen. */
	if (seccomp_rule_add(filter, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0) < 0)
		return -1;
	/* Threads, but no processes: one would live on when the core has killed this worker. */
	if (seccomp_rule_add(filter, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(clone), 1,
	                     SCMP_A0(SCMP_CMP_MASKED_EQ, CLONE_THREAD, 0)) < 0)
		return -1;
	for (unsigned bit = 0; bit < 32; bit++) {
		scmp_datum_t flag = (scmp_datum_t)1 << bit;
		if ((flag & CLONE_NAMESPACES) != 0 &&
		    seccomp_rule_add(filter, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(clone), 1,
		                     SCMP_A0(SCMP_CMP_MASKED_EQ, flag, flag)) < 0)
			return -1;
	}
	return 0;
}

int
sandbox_seccomp(enum sandbox_kind kind)
{
	scmp_filter_ctx filter = seccomp_init(kind == SANDBOX_DECODER ? SCMP_ACT_ERRNO(EPERM) : SCMP_ACT_ALLOW);
	if (filter == NULL)
		return 0;
	/* Threads that a library started before main must be under the filter as well. */
	int error = seccomp_attr_set(filter, SCMP_FLTATR_CTL_TSYNC, 1);
	if (error == 0)
		error = kind == SANDBOX_DECODER ? decoder_rules(filter) : engine_rules(filter);
	if (error == 0)
		error = seccomp_load(filter);
	seccomp_release(filter);
	return error == 0;
}
