/* test_host.c - what this machine is, read from roots made up for the purpose. */
#include "unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/host.h"

#define MB "MemTotal:        8388608 kB\n"

/* Files of one root; ram_mb is what must come out. */
static const struct machine {
	const char *what;
	const char *files[8][2];
	uint64_t ram_mb;
} machines[] = {
	{"nothing to read", {{NULL}}, 0},
	{"no cgroup file", {{"proc/meminfo", MB}}, 8192},
	{"MemTotal is not the first line", {{"proc/meminfo", "MemFree: 1 kB\n" MB "MemTotal: 1 kB\n"}}, 8192},
	{"nonsense in meminfo", {{"proc/meminfo", "MemTotal: lots\n"}}, 0},
	{"v2 without a limit",
     {{"proc/meminfo", MB}, {"proc/self/cgroup", "0::/user.slice\n"}, {"sys/fs/cgroup/user.slice/memory.max", "max\n"}},
     8192},
	{"v2 with a limit",
     {{"proc/meminfo", MB},
      {"proc/self/cgroup", "0::/user.slice\n"},
      {"sys/fs/cgroup/user.slice/memory.max", "1073741824\n"}},
     1024},
	{"v2, the parent holds less",
     {{"proc/meminfo", MB},
      {"proc/self/cgroup", "0::/a.slice/b.service\n"},
      {"sys/fs/cgroup/a.slice/memory.max", "536870912\n"},
      {"sys/fs/cgroup/a.slice/b.service/memory.max", "1073741824\n"}},
     512},
	{"v2, only the grandparent holds",
     {{"proc/meminfo", MB},
      {"proc/self/cgroup", "0::/a/b/c\n"},
      {"sys/fs/cgroup/a/memory.max", "268435456\n"},
      {"sys/fs/cgroup/a/b/memory.max", "max\n"}},
     256},
	{"v2 in a container: we are the root and it has the limit",
     {{"proc/meminfo", MB}, {"proc/self/cgroup", "0::/\n"}, {"sys/fs/cgroup/memory.max", "1073741824\n"}},
     1024},
	{"v2 in a container, nested: the root has the limit",
     {{"proc/meminfo", MB},
      {"proc/self/cgroup", "0::/init.scope\n"},
      {"sys/fs/cgroup/init.scope/memory.max", "max\n"},
      {"sys/fs/cgroup/memory.max", "1073741824\n"}},
     1024},
	{"a limit above the machine is none",
     {{"proc/meminfo", MB}, {"proc/self/cgroup", "0::/\n"}, {"sys/fs/cgroup/memory.max", "9223372036854771712\n"}},
     8192},
	{"v1 with a limit among other controllers",
     {{"proc/meminfo", MB},
      {"proc/self/cgroup", "9:cpu,cpuacct:/x\n4:memory:/docker/abc\n1:name=systemd:/y\n0::/z\n"},
      {"sys/fs/cgroup/memory/docker/abc/memory.limit_in_bytes", "2147483648\n"}},
     2048},
	{"v1 in a container that sees only its own group",
     {{"proc/meminfo", MB},
      {"proc/self/cgroup", "4:memory:/docker/abc\n"},
      {"sys/fs/cgroup/memory/memory.limit_in_bytes", "2147483648\n"}},
     2048},
	{"v1 without a limit",
     {{"proc/meminfo", MB},
      {"proc/self/cgroup", "4:memory:/\n"},
      {"sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n"}},
     8192},
	{"a group without files", {{"proc/meminfo", MB}, {"proc/self/cgroup", "0::/gone/away\n"}}, 8192},
	{"an empty cgroup file, no newline, nonsense",
     {{"proc/meminfo", MB}, {"proc/self/cgroup", "\nnonsense\n0::"}, {"sys/fs/cgroup/memory.max", ""}},
     8192},
};

static void
test_machines(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(machines); i++) {
		char *root = unit_folder();
		struct host host = {.ram_mb = 4711, .cpus = 4711};
		for (size_t f = 0; f < COUNT(machines[i].files) && machines[i].files[f][0] != NULL; f++)
			unit_write(root, machines[i].files[f][0], machines[i].files[f][1]);
		host_probe(root, &host);
		if (host.ram_mb != machines[i].ram_mb)
			fail_msg("%s: %llu MB", machines[i].what, (unsigned long long)host.ram_mb);
		assert_in_range(host.cpus, 1, 4096);
		unit_remove(root);
		free(root);
	}
}

static void
test_this_machine(void **state)
{
	(void)state;
	struct host host;
	int before = unit_descriptors();
	host_probe("", &host);
	assert_in_range(host.ram_mb, 64, (uint64_t)64 << 20);
	assert_in_range(host.cpus, 1, 4096);
	assert_int_equal(unit_descriptors(), before);
}

/* What can still be taken: the machine's, and what each group has left. */
static void
test_available(void **state)
{
	(void)state;
	static const struct {
		const char *files[8][2];
		uint64_t mb;
	} cases[] = {
		{{{NULL}}, UINT64_MAX},
		{{{"proc/meminfo", MB "MemAvailable: 1048576 kB\n"}}, 1024},
		{{{"proc/meminfo", "MemAvailable: 1048576 kB\n"},
	      {"proc/self/cgroup", "0::/a/b\n"},
	      {"sys/fs/cgroup/a/memory.max", "1073741824\n"},
	      {"sys/fs/cgroup/a/memory.current", "805306368\n"},
	      {"sys/fs/cgroup/a/memory.stat", "anon 5\ninactive_file 268435456\n"},
	      {"sys/fs/cgroup/a/b/memory.max", "max\n"}},
	     512},
		{{{"proc/meminfo", "MemAvailable: 1048576 kB\n"},
	      {"proc/self/cgroup", "0::/\n"},
	      {"sys/fs/cgroup/memory.max", "104857600\n"},
	      {"sys/fs/cgroup/memory.current", "209715200\n"}},
	     0},
		{{{"proc/meminfo", "MemAvailable: 1048576 kB\n"},
	      {"proc/self/cgroup", "4:memory:/x\n"},
	      {"sys/fs/cgroup/memory/x/memory.limit_in_bytes", "209715200\n"},
	      {"sys/fs/cgroup/memory/x/memory.usage_in_bytes", "104857600\n"}},
	     100},
	};
	for (size_t i = 0; i < COUNT(cases); i++) {
		char *root = unit_folder();
		for (size_t f = 0; f < COUNT(cases[i].files) && cases[i].files[f][0] != NULL; f++)
			unit_write(root, cases[i].files[f][0], cases[i].files[f][1]);
		assert_int_equal(host_available_mb(root), cases[i].mb);
		unit_remove(root);
		free(root);
	}
}

/* A group name as long as the kernel permits, and longer. */
static void
test_long_group(void **state)
{
	(void)state;
	char *root = unit_folder(), *line = malloc(9000);
	struct host host;
	memcpy(line, "0::/", 4);
	memset(line + 4, 'g', 8990);
	line[8994] = '\0';
	unit_write(root, "proc/meminfo", MB);
	unit_write(root, "proc/self/cgroup", line);
	host_probe(root, &host);
	assert_int_equal(host.ram_mb, 8192);
	unit_remove(root);
	free(root);
	free(line);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_machines), cmocka_unit_test(test_this_machine),
	                                   cmocka_unit_test(test_available), cmocka_unit_test(test_long_group)};
	return cmocka_run_group_tests_name("host", tests, NULL, NULL);
}
