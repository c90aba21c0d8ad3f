// SPDX-License-Identifier: GPL-2.0-only
/* calibrate.c - what an event costs on this machine, measured on a site of the tool's own. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdint.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <bscope/bscope.h>

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

static double round_ns(void (*hit)(void))
{
	struct timespec a, b;

	clock_gettime(CLOCK_MONOTONIC, &a);
	hit();
	clock_gettime(CLOCK_MONOTONIC, &b);
	return ((double)(b.tv_sec - a.tv_sec) * 1e9 + (double)(b.tv_nsec - a.tv_nsec)) / EVENTS;
}

static int ignore(void *ctx, const void *data, size_t size)
{
	(void)ctx;
	(void)data;
	(void)size;
	return 0;
}

static double least_ns(struct bs_collect *c, void (*hit)(void))
{
	double least = round_ns(hit);

	for (int i = 1; i < ROUNDS; i++) {
		double ns = round_ns(hit);

		if (ns < least)
			least = ns;
		while (bs_collect_poll(c, 0, ignore, NULL, NULL) > 0)
			;
	}
	return least;
}

static int write_switch(int mem, const struct bscope_site *site, const uint8_t bytes[5])
{
	uintptr_t at = (uintptr_t)&site->probe + (uintptr_t)(intptr_t)site->probe + 1;

	return pwrite(mem, bytes, 5, (off_t)at) == 5 ? 0 : -1;
}

/* Nobody else executes it. */
static double lit_ns(struct bs_collect *c, struct bscope_site *site, void (*hit)(void))
{
	static const uint8_t nop[5] = {0x66, 0x0f, 0x1f, 0x44, 0};
	uintptr_t back = (uintptr_t)&site->probe + (uintptr_t)(intptr_t)site->probe + 6;
	uintptr_t stub = (uintptr_t)&site->stub + (uintptr_t)(intptr_t)site->stub;
	int mem = open("/proc/self/mem", O_RDWR | O_CLOEXEC);
	int32_t rel = (int32_t)(stub - back);
	uint8_t jump[5] = {0xe9};
	double dark, lit = 0;

	if (mem < 0 || !site->stub)
		goto out;
	memcpy(jump + 1, &rel, sizeof(rel));
	dark = least_ns(c, hit);
	site->index = BSCOPE_INDEX(1, 0, site->kind);
	if (write_switch(mem, site, jump))
		goto out;
	lit = least_ns(c, hit) - dark;
	if (write_switch(mem, site, nop))
		lit = 0;
out:
	if (mem >= 0)
		close(mem);
	return lit > 0 ? lit : 0;
}

static struct bscope_site *site_of_kind(unsigned kind)
{
	/* Both are the ends of one section, as the linker names them. */
	/* cppcheck-suppress comparePointers */
	for (struct bscope_site *s = __start_bscope_sites; s < __stop_bscope_sites; s++)
		if (s->kind == kind &&
		    !strcmp((const char *)&s->klass + s->klass, "bscope_calibration"))
			return s;
	return NULL;
}

struct bs_jump_cost bs_calibrate_jump(struct bs_collect *c)
{
	struct bscope_site *one = site_of_kind(BSCOPE_KIND_RETAIN);
	struct bscope_site *two = site_of_kind(BSCOPE_KIND_USE);
	struct bs_jump_cost ns = {0};
	struct bs_module *m = NULL;
	struct bs_error err = {0};
	int fd;

	fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	if (!one || !two || fd < 0 || bs_module_read(fd, "bscope-trace", &m, &err)) {
		if (fd >= 0)
			close(fd);
		return ns;
	}
	if (m->runtime.batch_offset && !bs_collect_trace(c, getpid(), &err)) {
		const struct bs_listen listen = {m->runtime.batch_offset, m->runtime.buffer_offset,
						 m->runtime.semaphore_offset};

		if (!bs_collect_listen(c, m->fd, m->path, &listen, &err)) {
			ns.one = lit_ns(c, one, hit_one);
			ns.two = lit_ns(c, two, hit_two);
		}
		bs_collect_dark(c);
		bs_collect_untrace(c, getpid());
		while (bs_collect_poll(c, 0, ignore, NULL, NULL) > 0)
			;
	}
	bs_module_free(m);
	return ns;
}
