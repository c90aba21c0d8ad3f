// SPDX-License-Identifier: GPL-2.0-only
/*
 * hit_cost.c - what a hit of a lit site costs, against an empty BPF program on the same uprobe.
 *
 *	hit_cost [ROUNDS]
 *
 * Rounds alternate between the two programs, so that whatever else the machine does falls on
 * both; each round gives one ratio, and the verdict is on the median of the ratios.  Three
 * cases: nobody reads while the round runs; a reader runs on another CPU as in the tool; the
 * ring is full and each hit is a counted loss.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/error.h"
#include "collect/collect.h"
#include "collect/light.h"
#include "hit_cost_empty.skel.h"

#define HITS 10000

static atomic_bool reading, stop;

/* The thread's own CPU time: others on this machine may run, but are not counted. */
static double now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
	return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

static int on_record(void *ctx, const void *data, size_t size)
{
	(void)data;
	(void)size;
	++*(uint64_t *)ctx;
	return 0;
}

static void *reader(void *arg)
{
	uint64_t records = 0;

	while (!atomic_load(&stop))
		if (atomic_load(&reading))
			bs_collect_poll(arg, 50, on_record, &records, NULL);
		else
			usleep(1000);
	return NULL;
}

static double round_ns(void)
{
	double start = now_ns();

	for (int i = 0; i < HITS; i++)
		bs_own_site_hit();
	return (now_ns() - start) / HITS;
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

static void print(const char *name, double *v, int n)
{
	qsort(v, (size_t)n, sizeof(*v), compare);
	printf("  %-22s median %8.2f   quartiles %8.2f %8.2f   range %8.2f %8.2f\n", name, v[n / 2],
	       v[n / 4], v[n * 3 / 4], v[0], v[n - 1]);
}

struct bench {
	struct bs_collect *c;
	struct hit_cost_empty_bpf *empty;
	struct bs_own_site own;
	int rounds;
	double *off, *none, *full, *ratio;
};

static int run_rounds(struct bench *b, bool drain, struct bs_error *err)
{
	struct bs_probe probe = {.offset = b->own.offset};
	struct bs_light site = {.index = 1, .probe_offset = b->own.offset};
	int exe = open(b->own.path, O_RDONLY | O_CLOEXEC), fd, ret = 0;
	uint64_t records = 0;

	site.spec.where[0] = BS_ARG_REG;
	site.spec.where[1] = BS_ARG_CONST;
	site.spec.value[1] = 64;
#ifdef __x86_64__
	site.spec.reg[0] = 112; /* rdi */
#endif
	for (int i = 0; i < b->rounds && !ret; i++) {
		b->off[i] = round_ns();
		ret = bs_multi_attach(bpf_program__fd(b->empty->progs.empty), b->own.path, &probe,
				      1, &fd);
		if (ret)
			break;
		round_ns();
		b->none[i] = round_ns();
		close(fd);
		ret = bs_collect_light(b->c, exe, b->own.path, BS_TRAPS_ALL, &site, 1, err);
		if (ret)
			break;
		bs_collect_start(b->c);
		round_ns();
		b->full[i] = round_ns();
		bs_collect_dark(b->c);
		b->ratio[i] = b->full[i] / b->none[i];
		while (drain && bs_collect_poll(b->c, 0, on_record, &records, NULL) > 0)
			;
	}
	close(exe);
	return ret;
}

static int one_case(struct bench *b, const char *name, const struct bs_collect_opts *opts,
		    bool concurrent, bool drain, double *median)
{
	struct bs_collect_counts counts;
	struct bs_error err = {0};
	pthread_t thread;
	int ret;

	ret = bs_collect_new(opts, &b->c, &err);
	if (!ret)
		ret = bs_collect_trace(b->c, getpid(), &err);
	if (ret) {
		fprintf(stderr, "hit_cost: %s\n", err.text);
		goto out;
	}
	if (concurrent) {
		atomic_store(&stop, false);
		ret = -pthread_create(&thread, NULL, reader, b->c);
		if (ret)
			goto out;
		atomic_store(&reading, true);
	}
	ret = run_rounds(b, drain && !concurrent, &err);
	if (concurrent) {
		atomic_store(&stop, true);
		pthread_join(thread, NULL);
	}
	if (ret) {
		fprintf(stderr, "hit_cost: %s\n", err.code ? err.text : strerror(-ret));
		goto out;
	}
	bs_collect_counts(b->c, &counts);
	printf("%s (%llu hits, %llu lost)\n", name, (unsigned long long)counts.sum.written,
	       (unsigned long long)counts.sum.lost_ring);
	print("dark, ns", b->off, b->rounds);
	print("empty program, ns", b->none, b->rounds);
	print("lit site, ns", b->full, b->rounds);
	print("lit site / empty", b->ratio, b->rounds);
	*median = b->ratio[b->rounds / 2];
out:
	bs_collect_free(b->c);
	b->c = NULL;
	return ret;
}

int main(int argc, char **argv)
{
	struct bs_collect_opts opts = {0}, tiny = {.ring_bytes = 4096};
	struct bench b = {.rounds = argc > 1 ? (int)strtol(argv[1], NULL, 10) : 25};
	double median[3] = {0};
	int ret = 1;

	if (b.rounds < 1 || b.rounds > 100000) {
		fprintf(stderr, "usage: hit_cost [ROUNDS]\n");
		return 64;
	}
	b.off = calloc(4 * (size_t)b.rounds, sizeof(*b.off));
	if (!b.off)
		return 1;
	b.none = b.off + b.rounds;
	b.full = b.none + b.rounds;
	b.ratio = b.full + b.rounds;
	b.empty = hit_cost_empty_bpf__open();
	if (!b.empty)
		goto out;
	bpf_program__set_expected_attach_type(b.empty->progs.empty,
					      (enum bpf_attach_type)BS_ATTACH_UPROBE_MULTI);
	if (hit_cost_empty_bpf__load(b.empty) || bs_own_site_find(&b.own)) {
		fprintf(stderr, "hit_cost: cannot load (root? Linux 6.6?)\n");
		goto out;
	}
	if (one_case(&b, "read between rounds", &opts, false, true, &median[0]) ||
	    one_case(&b, "read meanwhile by another thread", &opts, true, false, &median[1]) ||
	    one_case(&b, "ring full", &tiny, false, false, &median[2]))
		goto out;
	printf("ratio %.3f, %.3f, %.3f: %s 1.25\n", median[0], median[1], median[2],
	       median[0] <= 1.25 && median[1] <= 1.25 ? "at most" : "MORE THAN");
	ret = !(median[0] <= 1.25 && median[1] <= 1.25);
out:
	hit_cost_empty_bpf__destroy(b.empty);
	free(b.off);
	return ret;
}
