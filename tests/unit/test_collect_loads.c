/* SPDX-License-Identifier: GPL-2.0-only */
/* test_collect_loads.c - files that are mapped to execute code from are told of, each time. */
#define _GNU_SOURCE
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "collect/loads.h"

#define PAGE 4096u

static char path[] = "/tmp/bscope-loads.XXXXXX";
static int fd;
static struct stat st;

static int file_make(void **state)
{
	(void)state;
	fd = mkstemp(path);
	return fd < 0 || ftruncate(fd, PAGE) || fstat(fd, &st) ? -1 : 0;
}

static int file_remove(void **state)
{
	(void)state;
	close(fd);
	return unlink(path);
}

static void file_map(int prot)
{
	void *p = mmap(NULL, PAGE, prot, MAP_PRIVATE, fd, 0);

	assert_true(p != MAP_FAILED);
	munmap(p, PAGE);
}

/* The file, as this process and others have mapped it. */
struct seen {
	pid_t other;
	size_t own, others;
	int stop_after; /* 0: not */
};

static int on_load(void *ctx, const struct bs_load *load)
{
	struct seen *seen = ctx;

	if (load->ino != st.st_ino || strcmp(load->path, path) != 0)
		return 0;
	if (load->pid == getpid())
		seen->own++;
	else if (load->pid == seen->other)
		seen->others++;
	return seen->stop_after && --seen->stop_after == 0 ? -1 : 0;
}

static struct seen read_all(struct bs_loads *l, pid_t other, bool *lost)
{
	struct seen seen = {.other = other};

	assert_int_equal(bs_loads_read(l, on_load, &seen, lost), 0);
	return seen;
}

static void each_mapping(void **state)
{
	struct bs_loads *l;
	struct seen seen;
	bool lost;
	pid_t pid;

	(void)state;
	file_map(PROT_READ | PROT_EXEC); /* before anybody looks */
	assert_int_equal(bs_loads_new(&l), 0);
	assert_int_equal(read_all(l, 0, &lost).own, 0);
	file_map(PROT_READ | PROT_EXEC);
	file_map(PROT_READ);
	file_map(PROT_READ | PROT_WRITE | PROT_EXEC);
	pid = fork();
	assert_true(pid >= 0);
	if (!pid) {
		for (int i = 0; i < 3; i++)
			file_map(PROT_EXEC);
		_exit(0);
	}
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	seen = read_all(l, pid, &lost);
	assert_int_equal(seen.own, 2);
	assert_int_equal(seen.others, 3);
	assert_false(lost);
	assert_int_equal(read_all(l, pid, &lost).own, 0);
	bs_loads_free(l);
	bs_loads_free(NULL);
}

/* A buffer that nobody reads is full some time; that is said, once, and then all is well. */
static void more_than_fit(void **state)
{
	struct bs_loads *l;
	struct seen seen;
	bool lost;

	(void)state;
	assert_int_equal(bs_loads_new(&l), 0);
	for (int i = 0; i < 5000; i++)
		file_map(PROT_EXEC);
	seen = read_all(l, 0, &lost);
	assert_true(seen.own > 50 && seen.own < 5000);
	assert_true(lost);
	/* The kernel says so, too, with the next record that has room. */
	file_map(PROT_EXEC);
	read_all(l, 0, &lost);
	read_all(l, 0, &lost);
	for (int round = 0; round < 1000; round++) {
		/* They go round the end of the buffer at all places. */
		for (int i = 0; i < 7; i++)
			file_map(PROT_EXEC);
		assert_int_equal(read_all(l, 0, &lost).own, 7);
		assert_false(lost);
	}
	bs_loads_free(l);
}

static void stopped_in_the_middle(void **state)
{
	struct seen seen = {.stop_after = 2};
	struct bs_loads *l;
	bool lost;

	(void)state;
	assert_int_equal(bs_loads_new(&l), 0);
	for (int i = 0; i < 5; i++)
		file_map(PROT_EXEC);
	assert_int_equal(bs_loads_read(l, on_load, &seen, &lost), -1);
	assert_int_equal(seen.own, 2);
	assert_int_equal(read_all(l, 0, &lost).own, 3);
	bs_loads_free(l);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_mapping),
		cmocka_unit_test(more_than_fit),
		cmocka_unit_test(stopped_in_the_middle),
	};

	return cmocka_run_group_tests(tests, file_make, file_remove);
}
