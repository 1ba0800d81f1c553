/* host.h - what this machine is, as far as the choice of a backend asks. Reads /proc and /sys below `root`. */
#ifndef HOST_HOST_H
#define HOST_HOST_H

#include <stdint.h>

struct host {
	uint64_t ram_mb; /* that this process may use: physical memory or the cgroup's limit, the smaller one */
	unsigned cpus;   /* that this process may run on */
};

/* Fills *out; what cannot be read counts as 0 MB and 1 processor. `root` is "" but in tests. Reads a few small files. */
void host_probe(const char *root, struct host *out);

/* MB that could be taken now without anyone's loss: free or reclaimable, and within each limit of our cgroups. UINT64_MAX
 * when that cannot be read. */
uint64_t host_available_mb(const char *root);

#endif
