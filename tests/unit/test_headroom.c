// SPDX-License-Identifier: GPL-2.0-only
/* test_headroom.c - room in the memory cgroup: target/headroom.c. */
#define _GNU_SOURCE
#include <errno.h>
#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/error.h"
#include "target/headroom.h"

#define MIB (1024ull * 1024)
#define PID 812

static char root[64];
static struct bs_error err;

/* Writes a file below root, with the directories it needs. */
static void put(const char *path, const char *text)
{
	char full[512];
	FILE *file;

	snprintf(full, sizeof(full), "%s%s", root, path);
	for (char *s = full + strlen(root) + 1; (s = strchr(s, '/')); s++) {
		*s = '\0';
		mkdir(full, 0755);
		*s = '/';
	}
	file = fopen(full, "w");
	assert_non_null(file);
	assert_true(fputs(text, file) >= 0);
	assert_int_equal(fclose(file), 0);
}

static void put_number(const char *path, uint64_t value)
{
	char text[32];

	snprintf(text, sizeof(text), "%llu\n", (unsigned long long)value);
	put(path, text);
}

static int check(uint64_t need)
{
	memset(&err, 0, sizeof(err));
	return bs_headroom_check_at(root, PID, PID, need, &err);
}

static int setup(void **state)
{
	(void)state;
	strcpy(root, "/tmp/bscope-headroom-XXXXXX");
	return !mkdtemp(root);
}

static int drop(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
	(void)st;
	(void)flag;
	(void)ftw;
	return remove(path);
}

static int teardown(void **state)
{
	(void)state;
	return nftw(root, drop, 16, FTW_DEPTH | FTW_PHYS);
}

static void v2_tree(void)
{
	put("/proc/812/cgroup", "0::/system.slice/app:1.service\n");
	put("/proc/self/mountinfo",
	    "22 27 0:21 / /proc rw,relatime - proc proc rw\n"
	    "31 23 0:28 / /sys/fs/cg\\040roup rw,nosuid shared:9 - cgroup2 cgroup2 rw,nsdelegate\n");
	put("/sys/fs/cg roup/system.slice/app:1.service/memory.max", "max\n");
	put("/sys/fs/cg roup/system.slice/app:1.service/memory.high", "max\n");
	put_number("/sys/fs/cg roup/system.slice/app:1.service/memory.current", 20 * MIB);
	put("/sys/fs/cg roup/system.slice/memory.max", "max\n");
	put_number("/sys/fs/cg roup/system.slice/memory.current", 90 * MIB);
}

static void test_no_cgroups(void **state)
{
	(void)state;
	/* No file at all, no hierarchy, no memory controller in any. */
	assert_int_equal(check(UINT64_MAX / 2), 0);
	put("/proc/812/cgroup", "");
	put("/proc/self/mountinfo", "22 27 0:21 / /proc rw,relatime - proc proc rw\n");
	assert_int_equal(check(UINT64_MAX / 2), 0);
	put("/proc/812/cgroup", "3:cpuset:/a\n0::/\n");
	put("/proc/self/mountinfo",
	    "34 31 0:31 / /sys/fs/cgroup/cpuset rw - cgroup cgroup rw,cpuset\n"
	    "38 31 0:38 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n");
	assert_int_equal(check(UINT64_MAX / 2), 0);
}

static void test_v2(void **state)
{
	(void)state;
	v2_tree();
	assert_int_equal(check(1000 * MIB), 0);
	/* 24 MiB, 20 used: 4 left, and that is the margin. */
	put_number("/sys/fs/cg roup/system.slice/app:1.service/memory.max", 24 * MIB);
	assert_int_equal(check(0), 0);
	assert_int_equal(check(1), -ENOMEM);
	assert_int_equal(err.code, -ENOMEM);
	assert_non_null(strstr(err.text, "pid 812"));
	assert_non_null(strstr(err.text, "/system.slice/app:1.service"));
	assert_non_null(strstr(err.text, "4.0 of 24.0 MiB"));
	assert_non_null(strstr(err.text, "memory.max"));
	assert_null(strchr(err.text, '\n'));
	/* What the page cache could give back. */
	put("/sys/fs/cg roup/system.slice/app:1.service/memory.stat",
	    "anon 5\ninactive_file_x 9999999999\ninactive_file 8388608\nactive_file 1\n");
	assert_int_equal(check(8 * MIB), 0);
	assert_int_equal(check(8 * MIB + 1), -ENOMEM);
	/* More than used, as the kernel's sums may be for a moment. */
	put("/sys/fs/cg roup/system.slice/app:1.service/memory.stat", "inactive_file 99999999\n");
	assert_int_equal(check(20 * MIB), 0);
	assert_int_equal(check(20 * MIB + 1), -ENOMEM);
	/* Over the limit already. */
	put("/sys/fs/cg roup/system.slice/app:1.service/memory.stat", "");
	put_number("/sys/fs/cg roup/system.slice/app:1.service/memory.current", 30 * MIB);
	assert_int_equal(check(0), -ENOMEM);
}

static void test_v2_high_and_ancestors(void **state)
{
	(void)state;
	v2_tree();
	put_number("/sys/fs/cg roup/system.slice/app:1.service/memory.high", 30 * MIB);
	assert_int_equal(check(6 * MIB), 0);
	assert_int_equal(check(7 * MIB), -ENOMEM);
	assert_non_null(strstr(err.text, "slowed down"));
	assert_non_null(strstr(err.text, "memory.high"));
	put("/sys/fs/cg roup/system.slice/app:1.service/memory.high", "max\n");
	put_number("/sys/fs/cg roup/system.slice/memory.max", 100 * MIB);
	assert_int_equal(check(6 * MIB), 0);
	assert_int_equal(check(7 * MIB), -ENOMEM);
	assert_non_null(strstr(err.text, "cgroup /system.slice has 10.0 of 100.0"));
	/* Of the mount's top itself, as in a container. */
	put("/sys/fs/cg roup/system.slice/memory.max", "max\n");
	put_number("/sys/fs/cg roup/memory.max", 10 * MIB);
	put_number("/sys/fs/cg roup/memory.current", 1 * MIB);
	assert_int_equal(check(5 * MIB), 0);
	assert_int_equal(check(6 * MIB), -ENOMEM);
	/* Nonsense is no limit. */
	put("/sys/fs/cg roup/memory.max", "lots\n");
	assert_int_equal(check(6 * MIB), 0);
}

static void v1_tree(const char *top)
{
	char line[256];

	put("/proc/812/cgroup", "8:cpu,cpuacct:/x\n4:memory:/docker/abc/app\n0::/\n");
	snprintf(line, sizeof(line),
		 "35 31 0:32 %s /m rw,relatime - cgroup cgroup rw,memory\n"
		 "38 31 0:38 / /unified rw,relatime - cgroup2 cgroup2 rw\n",
		 top);
	put("/proc/self/mountinfo", line);
}

static void test_v1(void **state)
{
	(void)state;
	v1_tree("/");
	put_number("/m/docker/abc/app/memory.limit_in_bytes", 9223372036854771712ull);
	put_number("/m/docker/abc/app/memory.usage_in_bytes", 50 * MIB);
	put_number("/m/docker/abc/memory.limit_in_bytes", 64 * MIB);
	put_number("/m/docker/abc/memory.usage_in_bytes", 60 * MIB);
	put("/m/docker/abc/memory.stat", "inactive_file 0\ntotal_inactive_file 4194304\n");
	put_number("/m/memory.limit_in_bytes", 9223372036854771712ull);
	assert_int_equal(check(4 * MIB), 0);
	assert_int_equal(check(5 * MIB), -ENOMEM);
	assert_non_null(strstr(err.text, "/docker/abc has 8.0 of 64.0 MiB"));
	assert_non_null(strstr(err.text, "memory.limit_in_bytes"));
	/* Old kernels: a limit that is not inherited. */
	put("/m/docker/abc/memory.use_hierarchy", "0\n");
	assert_int_equal(check(5 * MIB), 0);
	put("/m/docker/abc/memory.use_hierarchy", "1\n");
	assert_int_equal(check(5 * MIB), -ENOMEM);
	/* With swap. */
	put_number("/m/docker/abc/memory.limit_in_bytes", 9223372036854771712ull);
	put_number("/m/docker/abc/app/memory.memsw.limit_in_bytes", 56 * MIB);
	put_number("/m/docker/abc/app/memory.memsw.usage_in_bytes", 50 * MIB);
	assert_int_equal(check(2 * MIB), 0);
	assert_int_equal(check(3 * MIB), -ENOMEM);
}

/* In a container only a part of the tree is mounted. */
static void test_part_of_the_tree(void **state)
{
	(void)state;
	v1_tree("/docker/abc");
	put_number("/m/memory.limit_in_bytes", 64 * MIB);
	put_number("/m/memory.usage_in_bytes", 60 * MIB);
	put_number("/m/app/memory.limit_in_bytes", 32 * MIB);
	put_number("/m/app/memory.usage_in_bytes", 20 * MIB);
	assert_int_equal(check(0), 0);
	assert_int_equal(check(1 * MIB), -ENOMEM);
	assert_non_null(strstr(err.text, "cgroup / has 4.0 of 64.0"));
	put_number("/m/memory.usage_in_bytes", 1 * MIB);
	assert_int_equal(check(9 * MIB), -ENOMEM);
	assert_non_null(strstr(err.text, "cgroup /app has"));
	/* Not below what is mounted. */
	v1_tree("/docker/ab");
	assert_int_equal(check(1000 * MIB), 0);
	put("/proc/812/cgroup", "4:memory:/../other\n");
	v1_tree("/");
	put("/proc/812/cgroup", "4:memory:/../other\n");
	assert_int_equal(check(1000 * MIB), 0);
}

static void test_this_machine(void **state)
{
	char dir[256] = "/sys/fs/cgroup/memory/bscope-test-XXXXXX", path[300];
	pid_t pid;
	FILE *file;

	(void)state;
	assert_int_equal(bs_headroom_check(0x3fffff, 1, &err), -ESRCH);
	assert_int_equal(bs_headroom_check(getpid(), 0, NULL), 0);
	/* Where we may make one: a process in a cgroup of 24 MiB. */
	if (!mkdtemp(dir))
		return;
	snprintf(path, sizeof(path), "%s/memory.limit_in_bytes", dir);
	file = fopen(path, "w");
	if (!file) {
		rmdir(dir);
		return;
	}
	fprintf(file, "%llu", 24 * MIB);
	assert_int_equal(fclose(file), 0);
	pid = fork();
	if (!pid)
		for (;;)
			pause();
	snprintf(path, sizeof(path), "%s/cgroup.procs", dir);
	file = fopen(path, "w");
	assert_non_null(file);
	fprintf(file, "%d", (int)pid);
	assert_int_equal(fclose(file), 0);
	assert_int_equal(bs_headroom_check(pid, 8 * MIB, &err), 0);
	assert_int_equal(bs_headroom_check(pid, 23 * MIB, &err), -ENOMEM);
	assert_non_null(strstr(err.text, strrchr(dir, '/')));
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	for (int i = 0; i < 100 && rmdir(dir); i++)
		usleep(10000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_no_cgroups, setup, teardown),
		cmocka_unit_test_setup_teardown(test_v2, setup, teardown),
		cmocka_unit_test_setup_teardown(test_v2_high_and_ancestors, setup, teardown),
		cmocka_unit_test_setup_teardown(test_v1, setup, teardown),
		cmocka_unit_test_setup_teardown(test_part_of_the_tree, setup, teardown),
		cmocka_unit_test(test_this_machine),
	};

	return cmocka_run_group_tests_name("headroom", tests, NULL, NULL);
}
