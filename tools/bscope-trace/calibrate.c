// SPDX-License-Identifier: GPL-2.0-only
/* calibrate.c - what an event costs on this machine, measured on a site of the tool's own. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <bscope/bscope.h>
#include <bscope/control.h>
#include <bscope/follow.h>

#include "base/error.h"
#include "bscope-trace/calibrate.h"
#include "collect/collect.h"
#include "target/jump.h"
#include "target/module.h"

#define ROUNDS 8
#define EVENTS (8 * BSCOPE_BATCH_SLOTS)

extern struct bscope_site __start_bscope_sites[], __stop_bscope_sites[];

/* The loops are the same, lit or not; aligned, so that both take the same time to fetch. */
static __attribute__((noinline, aligned(64))) void hit_one(void)
{
	for (uint64_t i = 0; i < EVENTS; i++)
		BSCOPE_RETAIN(bscope_calibration, i);
}

static __attribute__((noinline, aligned(64))) void hit_two(void)
{
	for (uint64_t i = 0; i < EVENTS; i++)
		BSCOPE_USE(bscope_calibration, i, 0);
}

/* With sampling: lives that are followed or not, three marks each. */
#define LIFE_MARKS 3
static __attribute__((noinline, aligned(64))) void hit_life(void)
{
	for (uint64_t i = 16; i < 16 * (EVENTS / LIFE_MARKS); i += 16) {
		BSCOPE_NEW_SIZED(bscope_calibration, i, 64);
		BSCOPE_BORROW(bscope_calibration, i, 1);
		BSCOPE_DROP(bscope_calibration, i);
	}
}

/*
 * The same when what the table says of them is in no cache: on a machine that others use, too, a
 * program finds it so more often than not (steady of `make bench-overhead` took 100 ns for each
 * object, of 260 that memory takes).  The fences keep the processor from waiting for several
 * objects at once, as it cannot where a program does other work in between.
 */
#define COLD 0.5 /* of that is counted: the rest is waited for while other work is done */
static const struct bscope_follow *cold_table;

static double now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static __attribute__((noinline, aligned(64))) void lives_apart(bool cold)
{
	for (uint64_t i = 1; i < EVENTS / LIFE_MARKS; i++) {
		uint64_t id = 16 * i, hash = id * BSCOPE_FOLLOW_FACTOR;
		const uint8_t *at = &cold_table->filter[hash >> (64 - BSCOPE_FOLLOW_FILTER_BITS)];

		if (cold)
			__builtin_ia32_clflush(at);
		__asm__ __volatile__("mfence\n\tlfence" : : : "memory");
		BSCOPE_NEW_SIZED(bscope_calibration, id, 64);
		BSCOPE_BORROW(bscope_calibration, id, 1);
		BSCOPE_DROP(bscope_calibration, id);
		__asm__ __volatile__("lfence" : : : "memory");
	}
}

static void hit_warm(void)
{
	lives_apart(false);
}

static void hit_cold(void)
{
	lives_apart(true);
}

static double round_ns(void (*hit)(void))
{
	double began = now_ns();

	hit();
	return (now_ns() - began) / EVENTS;
}

static int ignore(void *ctx, const void *data, size_t size)
{
	(void)ctx;
	(void)data;
	(void)size;
	return 0;
}

static int compare(const void *a, const void *b)
{
	const double *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

/* The least of all rounds; *median, if not NULL. */
static double least_ns(struct bs_collect *c, void (*hit)(void), double *median)
{
	double rounds[ROUNDS];

	for (int i = 0; i < ROUNDS; i++) {
		rounds[i] = round_ns(hit);
		while (i && bs_collect_poll(c, 0, ignore, NULL, NULL) > 0)
			;
	}
	qsort(rounds, ROUNDS, sizeof(rounds[0]), compare);
	if (median)
		*median = rounds[ROUNDS / 2];
	return rounds[0];
}

static int write_switch(int mem, const struct bscope_site *site, const uint8_t bytes[5])
{
	uintptr_t at = (uintptr_t)&site->probe + (uintptr_t)(intptr_t)site->probe + 1;

	return pwrite(mem, bytes, 5, (off_t)at) == 5 ? 0 : -1;
}

static bool is_ours(const struct bscope_site *site, const uint8_t *kinds, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (site->kind == kinds[i])
			return !strcmp((const char *)&site->klass + site->klass,
				       "bscope_calibration");
	return false;
}

/* Makes the sites of so many kinds jumps, or nops again.  Nobody else executes them. */
static int switch_kinds(int mem, const uint8_t *kinds, size_t n, bool light)
{
	static const uint8_t nop[5] = {0x66, 0x0f, 0x1f, 0x44, 0};
	int ret = 0;

	/* Both are the ends of one section, as the linker names them. */
	/* cppcheck-suppress comparePointers */
	for (struct bscope_site *s = __start_bscope_sites; s < __stop_bscope_sites && !ret; s++) {
		uint8_t jump[5] = {0xe9};
		uintptr_t back, stub;
		int32_t rel;

		if (!is_ours(s, kinds, n))
			continue;
		if (!s->stub)
			return -1;
		back = (uintptr_t)&s->probe + (uintptr_t)(intptr_t)s->probe + 6;
		stub = (uintptr_t)&s->stub + (uintptr_t)(intptr_t)s->stub;
		rel = (int32_t)(stub - back);
		memcpy(jump + 1, &rel, sizeof(rel));
		s->index = BSCOPE_INDEX(1, 0, s->kind);
		ret = write_switch(mem, s, light ? jump : nop);
	}
	return ret;
}

static double lit_ns(struct bs_collect *c, const uint8_t *kinds, size_t n, void (*hit)(void),
		     double *spread)
{
	int mem = open("/proc/self/mem", O_RDWR | O_CLOEXEC);
	double dark = least_ns(c, hit, NULL), lit = 0, median = 0;

	if (mem < 0)
		return 0;
	if (!switch_kinds(mem, kinds, n, true))
		lit = least_ns(c, hit, &median) - dark;
	if (spread && lit > 0)
		*spread = (median - dark) / lit - 1;
	if (switch_kinds(mem, kinds, n, false))
		lit = 0;
	close(mem);
	return lit > 0 ? lit : 0;
}

/* As a tool tells it, of its own runtime: nobody or everybody is followed. */
static double sampled_ns(struct bs_collect *c, uint64_t gap, void (*hit)(void))
{
	static const uint8_t kinds[] = {BSCOPE_KIND_NEW, BSCOPE_KIND_BORROW, BSCOPE_KIND_DROP};
	struct bscope_control *own = (struct bscope_control *)(uintptr_t)bscope_control();
	double ns;

	if (!own->table)
		return 0;
	own->follow_gap = gap;
	own->follow_flags = 0;
	own->follow_epoch++;
	own->follow = 1;
	ns = lit_ns(c, kinds, sizeof(kinds), hit, NULL);
	own->follow = 0;
	return ns;
}

static double object_ns(struct bs_collect *c)
{
	double warm, cold;

	cold_table = (const struct bscope_follow *)(uintptr_t)bscope_control()->table;
	if (!cold_table)
		return 0;
	warm = sampled_ns(c, 1ull << 62, hit_warm);
	cold = sampled_ns(c, 1ull << 62, hit_cold);
	return cold > warm ? COLD * LIFE_MARKS * (cold - warm) : 0;
}

struct bs_jump_cost bs_calibrate_jump(struct bs_collect *c, bool sampling)
{
	static const uint8_t one = BSCOPE_KIND_RETAIN, two = BSCOPE_KIND_USE;
	struct bs_jump_cost ns = {0};
	struct bs_module *m = NULL;
	struct bs_error err = {0};
	int fd;

	fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	if (fd < 0 || bs_module_read(fd, "bscope-trace", &m, &err)) {
		if (fd >= 0)
			close(fd);
		return ns;
	}
	if (m->runtime.batch_offset && !bs_collect_trace(c, getpid(), &err)) {
		const struct bs_listen listen = {m->runtime.batch_offset, m->runtime.buffer_offset,
						 m->runtime.semaphore_offset, 0};

		if (!bs_collect_listen(c, m->fd, m->path, &listen, &err)) {
			ns.one = lit_ns(c, &one, 1, hit_one, &ns.spread);
			ns.two = lit_ns(c, &two, 1, hit_two, NULL);
			if (sampling) {
				ns.skip = sampled_ns(c, 1ull << 62, hit_life);
				ns.object = object_ns(c);
				ns.follow = sampled_ns(c, 0, hit_life);
			}
		}
		bs_collect_dark(c);
		bs_collect_untrace(c, getpid());
		while (bs_collect_poll(c, 0, ignore, NULL, NULL) > 0)
			;
	}
	bs_module_free(m);
	return ns;
}
