/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * model.c - events per second through order and model, and memory per live object.
 *
 *     model [LIVE [EVENTS]]
 *
 * A program with LIVE objects (default 100,000) that replaces a random one all the time: a drop and
 * a new, by 8 threads, 32 places.  Each row is the median of 5 runs, in CPU time.  The floor is
 * what it takes to copy the same events in memory.
 */
#include <malloc.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "bscope/abi.h"
#include "model/model.h"
#include "model/objects.h"
#include "order/order.h"

#define RUNS  5
#define BATCH 65536u

static uint64_t seed = 88172645463325252ull;

static uint64_t rnd(void)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return seed;
}

static double now_s(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static struct bs_event event(unsigned kind, uint64_t ts, uint64_t id)
{
	uint32_t thread = (uint32_t)(rnd() >> 40) % 8;

	return (struct bs_event){
		.ts_ns = ts,
		.id = id,
		.arg = 64 + rnd() % 1024,
		.pid = 1000,
		.tid = 1000 + thread,
		.place = kind * 32 + 1 + (uint32_t)(id >> 4) % 32,
		.klass_id = 1,
		.type = BS_EVENT_MARK,
		.kind = (uint8_t)kind,
		.has = kind == BSCOPE_KIND_NEW ? BS_EVENT_HAS_BYTES : 0,
	};
}

/* run: consecutive events of one thread; 1 is a shared ring, 1024 buffers by thread. */
static size_t make(struct bs_event *v, size_t n, uint64_t *ids, size_t live, unsigned run)
{
	uint64_t ts = 1000000000, next = 0x7f0000000000ull;
	uint32_t thread = 0;
	size_t at = 0;

	for (size_t i = 0; i < live; i++) {
		ids[i] = next += 16 + (rnd() % 8) * 16;
		v[at++] = event(BSCOPE_KIND_NEW, ts += 50, ids[i]);
	}
	while (at + 2 <= n) {
		size_t i = rnd() % live;

		v[at++] = event(BSCOPE_KIND_DROP, ts += 50, ids[i]);
		/* Half of the addresses are used again. */
		if (rnd() % 2)
			ids[i] = next += 16 + (rnd() % 8) * 16;
		v[at++] = event(BSCOPE_KIND_NEW, ts += 50, ids[i]);
	}
	for (size_t i = 0; run > 1 && i < at; i++) {
		if (i % run == 0)
			thread = (thread + 1) % 8;
		v[i].tid = 1000 + thread;
	}
	return at;
}

static int to_model(void *ctx, const struct bs_event *ev)
{
	return bs_model_event(ctx, ev);
}

static int to_nowhere(void *ctx, const struct bs_event *ev)
{
	*(uint64_t *)ctx += ev->ts_ns;
	return 0;
}

enum what { COPY, ORDER, MODEL, BOTH };

static double run_once(enum what what, const struct bs_event *v, size_t n, size_t warm)
{
	struct bs_model_opts opts = {.start_ns = v[0].ts_ns};
	struct bs_model *m = bs_model_new(&opts);
	struct bs_order *o = bs_order_new(1 << 20);
	struct bs_event *copy = malloc(BATCH * sizeof(*copy));
	double start = 0, end;
	uint64_t sum = 0;

	if (!m || !o || !copy)
		exit(1);
	memset(copy, 0, BATCH * sizeof(*copy));
	for (size_t i = 0; i < n; i += BATCH) {
		size_t k = n - i < BATCH ? n - i : BATCH;

		if (!start && i >= warm)
			start = now_s();
		switch (what) {
		case COPY:
			memcpy(copy, v + i, k * sizeof(*v));
			__asm__ volatile("" ::"r"(copy) : "memory");
			break;
		case MODEL:
			for (size_t j = 0; j < k; j++)
				bs_model_event(m, &v[i + j]);
			break;
		default:
			for (size_t j = 0; j < k; j++)
				bs_order_push(o, &v[i + j]);
			bs_order_release(o, v[i + k - 1].ts_ns,
					 what == BOTH ? to_model : to_nowhere,
					 what == BOTH ? (void *)m : (void *)&sum);
			break;
		}
	}
	end = now_s();
	free(copy);
	bs_order_free(o);
	bs_model_free(m);
	return (end - start) / (double)(n - (warm + BATCH - 1) / BATCH * BATCH);
}

static int cmp(const void *x, const void *y)
{
	double a = *(const double *)x, b = *(const double *)y;

	return (a > b) - (a < b);
}

static double row(const char *name, enum what what, const struct bs_event *v, size_t n, size_t warm,
		  double floor)
{
	double t[RUNS];

	for (unsigned i = 0; i < RUNS; i++)
		t[i] = run_once(what, v, n, warm);
	qsort(t, RUNS, sizeof(*t), cmp);
	printf("%-28s %7.1f ns/event  %6.2f million/s  (%.1f to %.1f ns)", name, t[RUNS / 2] * 1e9,
	       1e-6 / t[RUNS / 2], t[0] * 1e9, t[RUNS - 1] * 1e9);
	if (floor > 0)
		printf("  %.1f x memcpy", t[RUNS / 2] / floor);
	printf("\n");
	return t[RUNS / 2];
}

static void memory(const struct bs_event *v, size_t live)
{
	struct bs_model_opts opts = {.start_ns = v[0].ts_ns};
	struct bs_model *m = bs_model_new(&opts);
	struct mallinfo2 before = mallinfo2(), after;

	for (size_t i = 0; m && i < live; i++)
		bs_model_event(m, &v[i]);
	after = mallinfo2();
	printf("%-28s %7.1f bytes per live object (%zu in the table's slot)\n", "model memory",
	       (double)(after.uordblks + after.hblkhd - before.uordblks - before.hblkhd) /
		       (double)live,
	       sizeof(struct bs_obj));
	bs_model_free(m);
}

int main(int argc, char **argv)
{
	size_t live = argc > 1 ? strtoull(argv[1], NULL, 10) : 100000;
	size_t n = argc > 2 ? strtoull(argv[2], NULL, 10) : 2000000, warm = live;
	struct bs_event *v;
	uint64_t *ids;
	double floor;

	if (!live || n < 2 * live + 2 * BATCH) {
		fprintf(stderr, "usage: %s [LIVE [EVENTS]], EVENTS at least 2 x LIVE + %u\n",
			argv[0], 2 * BATCH);
		return 64;
	}
	v = malloc(n * sizeof(*v));
	ids = malloc(live * sizeof(*ids));
	if (!v || !ids)
		return 1;

	printf("%zu live objects, %zu events of %zu bytes\n", live, n, sizeof(*v));
	n = make(v, n, ids, live, 1);
	memory(v, live);
	floor = row("memcpy", COPY, v, n, warm, 0);
	row("model", MODEL, v, n, warm, floor);
	row("order, threads mixed", ORDER, v, n, warm, floor);
	row("order + model", BOTH, v, n, warm, floor);
	n = make(v, n, ids, live, 1024);
	row("order, runs of 1,024", ORDER, v, n, warm, floor);
	row("order + model", BOTH, v, n, warm, floor);
	free(v);
	free(ids);
	return 0;
}
