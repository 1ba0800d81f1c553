/* sandbox.h - what a worker gives up before it reads its first byte of input.
 *
 * Called once by child_hello(), in the worker, single-threaded. Each part that the kernel lacks is left out and
 * reported, so that HELLO, `scry status` and --json show which parts hold.
 */
#ifndef WIRE_SANDBOX_H
#define WIRE_SANDBOX_H

#include <stdint.h>

#include "wire/proto.h"

enum sandbox_kind {
	SANDBOX_DECODER, /* seccomp allow-list: memory, its descriptors, time; nothing else */
	SANDBOX_ENGINE,  /* seccomp deny-list: model libraries use too much of the kernel to list it */
	SANDBOX_LOADER,  /* as ENGINE, but Landlock comes later, by sandbox_files(): its library opens files by name */
};

/* Enters the sandbox: no new privileges, rlimits, Landlock without any rule (not yet for LOADER), seccomp. Cannot be
 * undone.
 * Returns the parts that hold (enum proto_sandbox); *landlock gets the kernel's Landlock ABI, 0 for none. */
uint32_t sandbox_enter(enum sandbox_kind kind, int32_t *landlock);

/* The rest of a LOADER's sandbox, before anything of its files is read: from now on it can open exactly the files behind
 * these descriptors, for reading. 1 when it holds, 0 when the kernel lacks it. */
int sandbox_files(const int *fds, unsigned count);

/* Tries what must not be possible; see struct proto_probed. Harmless when it is possible, but for exec, which then
 * replaces the process. */
void sandbox_probe(struct proto_probed *out);

/* The parts, each in its own file. 1 when it holds, 0 when the kernel lacks it. */
int sandbox_landlock(int32_t *abi, const int *fds, unsigned count);
int sandbox_seccomp(enum sandbox_kind kind);

#endif
