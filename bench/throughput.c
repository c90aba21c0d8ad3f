/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * throughput.c - events per second through decode, order and model, and memory per live object.
 *
 *     throughput [LIVE [EVENTS]]
 *
 * A program with LIVE objects (default 100,000) that replaces a random one all the time: a drop and
 * a new with size and caller, by 8 threads, 32 places, as slots of the threads' buffers.  The
 * threads take turns with each event, or after a thousand, as threads do that wait for each other.
 * Each row is the median of 5 runs, in CPU time.  The floor is what it takes to copy the same
 * slots.  10,000,000 objects and 24,000,000 events take 1.4 GB of memory.
 */
#include <malloc.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "bscope/abi.h"
#include "bscope/buffer.h"
#include "decode/decode.h"
#include "decode/tsc.h"
#include "model/model.h"
#include "model/objects.h"
#include "order/order.h"
#include "target/module.h"
#include "target/sites.h"

#define RUNS	5
#define THREADS 8u
#define PLACES	32u
#define WINDOW	65536u /* events between two releases */
#define START	(1ull << 41)

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

static void must(bool truth)
{
	if (truth)
		return;
	fprintf(stderr, "throughput: out of memory\n");
	exit(1);
}

/* --- what the program does ---------------------------------------------------------------------
 */

/* Sites 1..PLACES: new with size and caller; behind them: drop. */
static struct bs_sites *sites_make(void)
{
	static struct bs_site site[2 * PLACES];
	static struct bs_module module = {.path = (char *)(uintptr_t) "bench", .fd = -1};
	struct bs_sites *sites = bs_sites_new();
	uint32_t first, n;

	for (uint32_t i = 0; i < 2 * PLACES; i++) {
		bool drop = i >= PLACES;

		site[i] = (struct bs_site){
			.klass = "block",
			.name = "block",
			.file = "bench.c",
			.line = i + 1,
			.kind = drop ? BSCOPE_KIND_DROP : BSCOPE_KIND_NEW,
			.nargs = drop ? 1 : 3,
			.flags = drop ? 0 : BSCOPE_SITE_SIZED | BSCOPE_SITE_CALLER,
		};
	}
	module.sites = site;
	module.nsites = 2 * PLACES;
	must(sites && !bs_sites_add(sites, &module, NULL, &first, &n));
	return sites;
}

/* The slots that one thread wrote in one window. */
struct run {
	struct bscope_slot *v;
	size_t n;
};

struct load {
	struct run (*runs)[THREADS]; /* by window */
	size_t windows, warm;	     /* the first are for nothing */
	size_t nevents, nslots;	     /* of the others */
	uint64_t end;
};

static void slot_add(struct run *r, uint64_t head, uint64_t value)
{
	r->v[r->n++] = (struct bscope_slot){head, value};
}

static void event_add(struct run *r, bool drop, uint64_t stamp, uint64_t id)
{
	uint32_t place = 1 + (uint32_t)(id >> 4) % PLACES;

	slot_add(r, stamp << BSCOPE_SLOT_TIME_SHIFT | (drop ? place + PLACES : place), id);
	if (!drop)
		slot_add(r,
			 (0x401000ull + 16 * (id >> 4) % 64) << BSCOPE_SLOT_TIME_SHIFT |
				 BSCOPE_SLOT_EXTRA,
			 64 + rnd() % 1024);
}

/* turn: so many events of one thread come after each other. */
static struct load make(size_t n, size_t live, unsigned turn)
{
	uint64_t *ids = malloc(live * sizeof(*ids)), next = 0x7f0000000000ull, stamp = START;
	struct load l = {.windows = n / WINDOW};
	size_t victim = 0, made = 0;

	l.runs = calloc(l.windows, sizeof(*l.runs));
	must(ids && l.runs);
	for (size_t w = 0, e = 0; w < l.windows; w++) {
		for (unsigned t = 0; t < THREADS; t++) {
			l.runs[w][t].v = malloc(2 * WINDOW * sizeof(struct bscope_slot));
			must(l.runs[w][t].v != NULL);
		}
		if (made < live)
			l.warm = w + 1;
		for (unsigned i = 0; i < WINDOW; i++, e++) {
			unsigned thread = turn > 1 ? (unsigned)(e / turn) % THREADS
						   : (unsigned)(rnd() % THREADS);
			struct run *r = &l.runs[w][thread];
			bool drop = made >= live && i % 2;

			stamp += 50;
			if (drop) {
				victim = rnd() % live;
				event_add(r, true, stamp, ids[victim]);
				continue;
			}
			if (made < live)
				victim = made++;
			/* Half of the addresses are used again. */
			if (e == made - 1 || made < live || rnd() % 2)
				ids[victim] = next += 16 + (rnd() % 8) * 16;
			event_add(r, false, stamp, ids[victim]);
		}
		for (unsigned t = 0; t < THREADS; t++) {
			struct run *r = &l.runs[w][t];

			r->v = realloc(r->v, (r->n + 1) * sizeof(*r->v));
			must(r->v != NULL);
			l.nslots += w < l.warm ? 0 : r->n;
		}
	}
	l.nevents = (l.windows - l.warm) * WINDOW;
	l.end = stamp;
	free(ids);
	return l;
}

static void load_free(struct load *l)
{
	for (size_t w = 0; w < l->windows; w++)
		for (unsigned t = 0; t < THREADS; t++)
			free(l->runs[w][t].v);
	free(l->runs);
}

/* --- what is done with it -----------------------------------------------------------------------
 */

enum what { COPY, DECODE, ORDER, ALL };

struct way {
	enum what what;
	struct bs_decoder decoder;
	struct bs_tsc tsc;
	struct bs_order *order;
	struct bs_model *model;
	uint64_t count[2 * PLACES + 1];
	struct bs_event events[4 * BS_ORDER_PIECE];
	size_t n;
};

static uint32_t code(void *ctx, uint32_t pid, uint64_t addr)
{
	(void)ctx;
	(void)pid;
	return (uint32_t)(addr >> 4) & 63;
}

static void flush(struct way *w)
{
	if (w->what == ALL)
		must(!bs_model_events(w->model, w->events, w->n));
	else
		for (size_t i = 0; i < w->n; i++)
			w->count[w->events[i].place]++;
	w->n = 0;
}

static int piece(void *ctx, const struct bs_slots *slots)
{
	struct way *w = ctx;

	if (w->n + slots->n > sizeof(w->events) / sizeof(w->events[0]))
		flush(w);
	w->n += bs_decode_slots(&w->decoder, slots, &w->events[w->n]);
	return 0;
}

static void one_run(struct way *w, uint32_t thread, const struct run *r, uint64_t reference)
{
	struct bscope_slot room[512];
	struct bs_slots prepared;
	size_t k, events;

	for (size_t i = 0; i < r->n; i += k) {
		k = r->n - i < 511 ? r->n - i : 511;
		if (w->what == COPY) {
			memcpy(room, &r->v[i], k * sizeof(room[0]));
			__asm__ volatile("" ::"r"(room) : "memory");
			continue;
		}
		if (i + k < r->n && r->v[i + k].head & BSCOPE_SLOT_EXTRA)
			k++;
		events = bs_decode_prepare(&w->decoder, 1000, 1000 + thread, &r->v[i], NULL, k,
					   &w->tsc, reference, room, &prepared);
		if (w->what == DECODE) {
			/* No branch that is chance: it would take longer than the decoding. */
			for (size_t j = 0; j < prepared.n; j++)
				w->count[room[j].head & BSCOPE_SLOT_EXTRA
						 ? 0
						 : room[j].head & BSCOPE_SLOT_INDEX_MASK]++;
			continue;
		}
		must(!bs_order_push_slots(w->order, &prepared, events));
	}
}

static void one_window(struct way *w, const struct run *runs, uint64_t reference)
{
	const struct bs_order_ops ops = {.slots = piece, .ctx = w};

	for (uint32_t t = 0; t < THREADS; t++)
		one_run(w, t, &runs[t], reference);
	if (w->what < ORDER)
		return;
	must(!bs_order_release(w->order, UINT64_MAX - 1, &ops));
	flush(w);
}

static double run_once(enum what what, const struct load *l, const struct bs_sites *sites)
{
	struct bs_model_opts opts = {.start_ns = START};
	struct way w = {
		.what = what,
		.decoder = {.sites = sites, .code = code},
		.order = bs_order_new(1 << 20),
		.model = bs_model_new(&opts),
	};
	double start = 0, end;

	must(w.order && w.model);
	bs_tsc_add(&w.tsc, START, START);
	bs_tsc_add(&w.tsc, l->end, l->end);
	for (size_t i = 0; i < l->windows; i++) {
		if (i == l->warm)
			start = now_s();
		one_window(&w, l->runs[i], l->end);
	}
	end = now_s();
	if (w.decoder.bad || bs_order_late(w.order)) {
		fprintf(stderr, "throughput: %llu bad, %llu late\n",
			(unsigned long long)w.decoder.bad,
			(unsigned long long)bs_order_late(w.order));
		exit(1);
	}
	bs_decoder_fini(&w.decoder);
	bs_order_free(w.order);
	bs_model_free(w.model);
	return (end - start) / (double)l->nevents;
}

static int cmp(const void *x, const void *y)
{
	double a = *(const double *)x, b = *(const double *)y;

	return (a > b) - (a < b);
}

static double row(const char *name, enum what what, const struct load *l,
		  const struct bs_sites *sites, double floor)
{
	double t[RUNS];

	for (unsigned i = 0; i < RUNS; i++)
		t[i] = run_once(what, l, sites);
	qsort(t, RUNS, sizeof(*t), cmp);
	printf("%-40s %6.1f ns/event  %6.1f million/s  (%.1f to %.1f ns)", name, t[RUNS / 2] * 1e9,
	       1e-6 / t[RUNS / 2], t[0] * 1e9, t[RUNS - 1] * 1e9);
	if (floor > 0)
		printf("  %.1f x memcpy", t[RUNS / 2] / floor);
	printf("\n");
	return t[RUNS / 2];
}

static void memory(size_t live)
{
	struct bs_model_opts opts = {.start_ns = START};
	struct bs_model *m = bs_model_new(&opts);
	struct mallinfo2 before = mallinfo2(), after;

	must(m != NULL);
	for (size_t i = 0; i < live; i++) {
		struct bs_event ev = {
			.ts_ns = START + i,
			.id = 0x7f0000000000ull + 16 * i,
			.arg = 64,
			.pid = 1000,
			.tid = 1000,
			.place = 1 + (uint32_t)i % PLACES,
			.klass_id = 1,
			.type = BS_EVENT_MARK,
			.kind = BSCOPE_KIND_NEW,
			.has = BS_EVENT_HAS_BYTES,
		};

		must(!bs_model_event(m, &ev));
	}
	after = mallinfo2();
	printf("%-40s %6.1f bytes per live object (%zu in the table\'s slot)\n",
	       "memory of the model",
	       (double)(after.uordblks + after.hblkhd - before.uordblks - before.hblkhd) /
		       (double)live,
	       sizeof(struct bs_obj));
	bs_model_free(m);
}

int main(int argc, char **argv)
{
	size_t live = argc > 1 ? strtoull(argv[1], NULL, 10) : 100000;
	size_t n = argc > 2 ? strtoull(argv[2], NULL, 10) : 2000000;
	struct bs_sites *sites;
	struct load l;
	double floor;

	if (!live || n < 2 * live + 2 * WINDOW) {
		fprintf(stderr, "usage: %s [LIVE [EVENTS]], EVENTS at least 2 x LIVE + %u\n",
			argv[0], 2 * WINDOW);
		return 64;
	}
	sites = sites_make();
	memory(live);
	for (unsigned turn = 1; turn <= 1000; turn += 999) {
		l = make(n, live, turn);
		printf("%zu live objects, %zu events in %zu slots; threads take turns after %u\n",
		       live, l.nevents, l.nslots, turn);
		floor = row("memcpy", COPY, &l, sites, 0);
		row("decode and count", DECODE, &l, sites, floor);
		row("decode and order", ORDER, &l, sites, floor);
		row("decode, order and model", ALL, &l, sites, floor);
		load_free(&l);
	}
	bs_sites_free(sites);
	return 0;
}
