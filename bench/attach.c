// SPDX-License-Identifier: GPL-2.0-only
/*
 * attach.c - how long lighting all sites of a file by traps takes, and putting them out again; for
 * jumps see pause.c.
 *
 *	attach [SITES [PERF_SITES]]
 *
 * SITES (2,000) by uprobe_multi, PERF_SITES (2,000) by perf events, each with and without a
 * semaphore, in this program while another process maps it, too.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/error.h"
#include "collect/collect.h"
#include "collect/light.h"

#define MAX_SITES 20000

void bench_sites(void);
/* 32 bytes apart, so that they lie in many pages as those of a program do. */
__asm__(".text\n"
	".p2align 5\n"
	".globl bench_sites\n"
	"bench_sites:\n"
	".rept 20000\n"
	"	nop\n"
	".p2align 5\n"
	".endr\n"
	"	ret\n");

static volatile unsigned short semaphore __attribute__((section(".probes"), used));

static double now_s(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static int measure(bool no_multi, bool with_semaphore, size_t n)
{
	struct bs_collect_opts opts = {.no_multi = no_multi};
	struct bs_light *sites = calloc(n, sizeof(*sites));
	struct bs_collect *c = NULL;
	struct bs_error err = {0};
	double start, lit, dark;
	int fd = -1, ret = -ENOMEM;

	if (!sites)
		goto out;
	for (size_t i = 0; i < n; i++) {
		sites[i].index = (uint32_t)i + 1;
		sites[i].probe_offset =
			bs_own_offset((const void *)(uintptr_t)bench_sites) + 32 * i;
		if (with_semaphore)
			sites[i].semaphore_offset = bs_own_offset(&semaphore);
	}
	ret = bs_collect_new(&opts, &c, &err);
	if (ret)
		goto out;
	fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	start = now_s();
	ret = bs_collect_light(c, fd, "bench", BS_TRAPS_ALL, sites, n, &err);
	if (ret)
		goto out;
	lit = now_s();
	bs_collect_dark(c);
	dark = now_s();
	printf("%-13s %6zu sites, %s semaphore: light %8.4f s, dark %8.4f s\n",
	       bs_collect_method(c), n, with_semaphore ? "with   " : "without", lit - start,
	       dark - lit);
	fflush(stdout);
out:
	if (ret)
		fprintf(stderr, "attach: %s\n", err.code ? err.text : strerror(-ret));
	if (fd >= 0)
		close(fd);
	bs_collect_free(c);
	free(sites);
	return ret;
}

int main(int argc, char **argv)
{
	size_t n = argc > 1 ? strtoul(argv[1], NULL, 10) : 2000;
	size_t perf = argc > 2 ? strtoul(argv[2], NULL, 10) : 2000;
	int ret = 0;
	pid_t other;

	if (argc > 1 && !strcmp(argv[1], "--map")) {
		pause();
		return 0;
	}
	if (n > MAX_SITES || perf > MAX_SITES) {
		fprintf(stderr, "usage: attach [SITES [PERF_SITES]], at most %d\n", MAX_SITES);
		return 64;
	}
	other = fork();
	if (!other) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		execl("/proc/self/exe", "attach", "--map", NULL);
		_exit(1);
	}
	for (int i = 0; i < 3 && !ret && n; i++) {
		ret = measure(false, false, n);
		if (!ret)
			ret = measure(false, true, n);
	}
	if (!ret && perf)
		ret = measure(true, false, perf);
	if (!ret && perf)
		ret = measure(true, true, perf);
	kill(other, SIGKILL);
	waitpid(other, NULL, 0);
	return ret ? 1 : 0;
}
