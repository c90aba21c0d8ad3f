/* SPDX-License-Identifier: GPL-2.0-only */
/* test_order.c - threads' events come out in the order of their clocks, up to the watermark. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "bscope/buffer.h"
#include "order/order.h"

static uint64_t seed;
static uint64_t rnd(void)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return seed * 0x2545f4914f6cdd1dull;
}

static void seed_set(uint64_t n)
{
	seed = n * 0x9e3779b97f4a7c15ull + 1;
	rnd();
}

/* What came out. */
struct out {
	struct bs_event *v;
	size_t n, cap;
	size_t stop_at; /* return -EINTR with this many or more */
};

/* id tells events apart. */
static struct bs_event event(uint32_t tid, uint64_t ts, uint64_t id)
{
	return (struct bs_event){.ts_ns = ts,
				 .id = id,
				 .arg = ~id,
				 .pid = 1 + tid % 3,
				 .tid = tid,
				 .place = 3,
				 .klass_id = 4,
				 .type = BS_EVENT_MARK,
				 .kind = 2};
}

static int keep_events(void *ctx, const struct bs_event *v, size_t n)
{
	struct out *o = ctx;

	assert_true(n > 0);
	if (o->n + n > o->cap) {
		o->cap = 2 * (o->n + n);
		o->v = realloc(o->v, o->cap * sizeof(*o->v));
		assert_non_null(o->v);
	}
	memcpy(&o->v[o->n], v, n * sizeof(*v));
	for (size_t i = 1; i < n; i++)
		assert_int_equal(v[i].tid, v[0].tid);
	o->n += n;
	return o->stop_at && o->n >= o->stop_at ? -EINTR : 1;
}

/* Slots say the number of their event in their value, and in that of the slot behind it. */
static int keep_slots(void *ctx, const struct bs_slots *piece)
{
	uint64_t id = UINT64_MAX;
	int ret = 0;

	for (size_t i = 0; i < piece->n && ret >= 0; i++) {
		const struct bscope_slot *slot = &piece->v[i];
		struct bs_event ev;

		if (slot->head & BSCOPE_SLOT_EXTRA) {
			assert_int_equal(slot->value, ~id);
			assert_int_equal(slot->head, BSCOPE_SLOT_EXTRA | 5);
			continue;
		}
		id = slot->value;
		assert_int_equal(slot->head & ((1 << BSCOPE_SLOT_TIME_SHIFT) - 1),
				 (id & 7) << BSCOPE_SLOT_LAP_SHIFT | 77);
		ev = event(piece->tid, piece->base_ns + (slot->head >> BSCOPE_SLOT_TIME_SHIFT), id);
		assert_int_equal(ev.pid, piece->pid);
		ret = keep_events(ctx, &ev, 1);
	}
	return ret;
}

static int release(struct bs_order *o, uint64_t watermark, struct out *out)
{
	const struct bs_order_ops ops = {keep_events, keep_slots, out};

	return bs_order_release(o, watermark, &ops);
}

static void push(struct bs_order *o, uint32_t tid, uint64_t ts, uint64_t id)
{
	struct bs_event ev = event(tid, ts, id);

	assert_int_equal(bs_order_push(o, &ev), 0);
}

/* The same as prepared slots, some of them in pairs. */
static void push_slots(struct bs_order *o, const struct bs_event *v, size_t n)
{
	struct bscope_slot *slots = calloc(2 * n + 1, sizeof(*slots));
	struct bs_slots run = {.pid = v[0].pid, .tid = v[0].tid, .v = slots};
	uint64_t first = UINT64_MAX;

	assert_non_null(slots);
	for (size_t i = 0; i < n; i++)
		first = v[i].ts_ns < first ? v[i].ts_ns : first;
	/* Mostly the same. */
	run.base_ns = rnd() % 8 ? first & ~((1ull << 32) - 1) : first - first % (1 + rnd() % 9);
	for (size_t i = 0; i < n; i++) {
		slots[run.n].head = (v[i].ts_ns - run.base_ns) << BSCOPE_SLOT_TIME_SHIFT |
				    (v[i].id & 7) << BSCOPE_SLOT_LAP_SHIFT | 77;
		slots[run.n++].value = v[i].id;
		if (!(rnd() % 3))
			slots[run.n++] = (struct bscope_slot){BSCOPE_SLOT_EXTRA | 5, ~v[i].id};
	}
	assert_int_equal(bs_order_push_slots(o, &run, n), 0);
	free(slots);
}

static void expect(struct out *o, const uint64_t *ids, size_t n)
{
	assert_int_equal(o->n, n);
	for (size_t i = 0; i < n; i++)
		assert_int_equal(o->v[i].id, ids[i]);
	free(o->v);
	*o = (struct out){0};
}
#define EXPECT(o, ...)                                           \
	do {                                                     \
		const uint64_t ids_[] = {__VA_ARGS__};           \
		expect(o, ids_, sizeof(ids_) / sizeof(ids_[0])); \
	} while (0)

static void watermark(void **state)
{
	struct bs_order *o = bs_order_new(1000);
	struct out out = {0};

	(void)state;
	push(o, 1, 100, 1);
	push(o, 2, 50, 2);
	push(o, 1, 200, 3);
	push(o, 2, 150, 4);
	assert_int_equal(release(o, 49, &out), 0);
	expect(&out, NULL, 0);
	assert_int_equal(release(o, 150, &out), 0);
	EXPECT(&out, 2, 1, 4);
	assert_int_equal(bs_order_held(o), 1);
	assert_int_equal(release(o, 150, &out), 0);
	expect(&out, NULL, 0);
	assert_int_equal(release(o, UINT64_MAX, &out), 0);
	EXPECT(&out, 3);
	assert_int_equal(bs_order_held(o), 0);
	assert_int_equal(bs_order_late(o), 0);
	bs_order_free(o);
}

/* What comes at the same time, of several threads, comes together, and each thread in its order. */
static void equal_stamps(void **state)
{
	struct bs_order *o = bs_order_new(1000);
	struct out out = {0};
	uint64_t next[3] = {0, 1, 2};

	(void)state;
	for (uint64_t i = 0; i < 60; i++)
		push(o, (uint32_t)(i % 3), 10, i);
	push(o, 4, 9, 60);
	push(o, 4, 11, 61);
	release(o, 10, &out);
	assert_int_equal(out.n, 61);
	assert_int_equal(out.v[0].id, 60);
	for (size_t i = 1; i < 61; i++) {
		assert_int_equal(out.v[i].id, next[out.v[i].tid]);
		next[out.v[i].tid] += 3;
	}
	free(out.v);
	bs_order_free(o);
}

static void a_thread_never_goes_back(void **state)
{
	struct bs_order *o = bs_order_new(1000);
	struct out out = {0};

	(void)state;
	push(o, 1, 100, 1);
	push(o, 1, 90, 2); /* as if at 100 */
	push(o, 2, 95, 3);
	push(o, 1, 105, 4);
	release(o, 99, &out);
	EXPECT(&out, 3);
	release(o, 100, &out);
	assert_int_equal(out.v[1].ts_ns, 90); /* the stamp itself stays */
	EXPECT(&out, 1, 2);
	release(o, 200, &out);
	EXPECT(&out, 4);
	assert_int_equal(bs_order_late(o), 0);
	bs_order_free(o);
}

static void late_events(void **state)
{
	struct bs_order *o = bs_order_new(1000);
	struct out out = {0};

	(void)state;
	push(o, 1, 100, 1);
	release(o, 500, &out);
	EXPECT(&out, 1);
	push(o, 2, 300, 2); /* below the watermark, but nothing younger has gone: in time */
	assert_int_equal(bs_order_late(o), 0);
	push(o, 2, 400, 3);
	release(o, 500, &out);
	EXPECT(&out, 2, 3);
	push(o, 3, 350, 4);
	push(o, 4, 340, 5);
	push(o, 1, 450, 6);
	/* Passed on even though the watermark has stepped back. */
	release(o, 0, &out);
	EXPECT(&out, 5, 4);
	release(o, 450, &out);
	EXPECT(&out, 6);
	assert_int_equal(bs_order_late(o), 2);
	bs_order_free(o);
}

static void stop_and_go_on(void **state)
{
	struct bs_order *o = bs_order_new(1000);
	struct out out = {.stop_at = 2};

	(void)state;
	for (uint64_t i = 1; i <= 5; i++)
		push(o, (uint32_t)(i % 2), i * 10, i);
	assert_int_equal(release(o, 100, &out), -EINTR);
	EXPECT(&out, 1, 2);
	assert_int_equal(bs_order_held(o), 3);
	assert_int_equal(release(o, 100, &out), 0);
	EXPECT(&out, 3, 4, 5);
	bs_order_free(o);
}

static void max_held(void **state)
{
	struct bs_order *o = bs_order_new(3);
	struct out out = {0};

	(void)state;
	for (uint64_t i = 1; i <= 3; i++)
		push(o, (uint32_t)i, 100 - i * 10, i);
	assert_false(bs_order_full(o));
	push(o, 9, 1000, 4);
	push(o, 9, 1001, 5);
	assert_true(bs_order_full(o));
	release(o, 0, &out);
	EXPECT(&out, 3, 2);
	assert_int_equal(bs_order_held(o), 3);
	assert_false(bs_order_full(o));
	push(o, 7, 75, 6); /* 80 went early: too late now */
	release(o, 0, &out);
	assert_int_equal(bs_order_late(o), 1);
	EXPECT(&out, 6);
	bs_order_free(o);

	o = bs_order_new(0);
	push(o, 1, UINT64_MAX, 1);
	push(o, 2, 0, 2);
	release(o, 0, &out);
	EXPECT(&out, 2, 1);
	bs_order_free(o);
	bs_order_free(NULL);
}

/* --- any interleaving against a full sort --------------------------------------------------- */

struct ref {
	struct bs_event ev;
	uint64_t time;
	int gone;
};

static int time_cmp(const void *x, const void *y)
{
	uint64_t a = *(const uint64_t *)x, b = *(const uint64_t *)y;

	return (a > b) - (a < b);
}

/* Events first..n-1 of one thread are pushed in one way or the other. */
static void push_run(struct bs_order *o, const struct ref *ref, unsigned first, unsigned n)
{
	struct bs_event *v = calloc(n - first + 1, sizeof(*v));

	assert_non_null(v);
	for (unsigned i = first; i < n; i++)
		v[i - first] = ref[i].ev;
	/* A thread has one stream, so that its order is that of pushing. */
	if (n > first && v[0].tid % 2)
		push_slots(o, v, n - first);
	else
		for (unsigned i = first; i < n; i++)
			assert_int_equal(bs_order_push(o, &v[i - first]), 0);
	free(v);
}

/*
 * Threads whose events arrive in any order between them, in runs of any length, decoded or as
 * slots, with stamps that repeat and sometimes step back; released in one go or in steps.
 */
static void interleaved(unsigned nthreads, unsigned n, unsigned longest_run, int steps)
{
	struct ref *ref = calloc(n, sizeof(*ref));
	uint64_t *clock = calloc(nthreads, sizeof(*clock)), *last = calloc(nthreads, sizeof(*last));
	uint64_t *sorted = calloc(n, sizeof(*sorted)), start = rnd() % 4 ? 0 : rnd() >> 8;
	struct bs_order *o = bs_order_new(n);
	struct out out = {0};
	size_t done = 0;
	unsigned i = 0, first;

	for (unsigned t = 0; t < nthreads; t++)
		clock[t] = start;
	while (i < n) {
		uint32_t tid = (uint32_t)(rnd() % nthreads);

		first = i;
		for (unsigned run = 1 + (unsigned)(rnd() % longest_run); run && i < n; run--, i++) {
			clock[tid] += rnd() % 4;
			/* Seconds and minutes in which nothing happens. */
			if (start && !(rnd() % 64))
				clock[tid] += rnd() >> (64 - 35);
			ref[i].ev = event(tid, clock[tid], i);
			if (!(rnd() % 16))
				ref[i].ev.ts_ns -= ref[i].ev.ts_ns > 9 ? rnd() % 9 : 0;
			ref[i].time = ref[i].ev.ts_ns > last[tid] ? ref[i].ev.ts_ns : last[tid];
			last[tid] = sorted[i] = ref[i].time;
		}
		push_run(o, ref, first, i);
	}
	qsort(sorted, n, sizeof(*sorted), time_cmp);
	while (steps && done < n) {
		size_t at = done + rnd() % 20;
		uint64_t w = sorted[at < n ? at : n - 1] + rnd() % 3 - 1;

		assert_int_equal(release(o, w, &out), 0);
		while (done < n && sorted[done] <= w && w != UINT64_MAX)
			done++;
		if (w == UINT64_MAX)
			break;
		assert_int_equal(out.n, done);
		assert_int_equal(bs_order_held(o), n - done);
	}
	assert_int_equal(release(o, UINT64_MAX, &out), 0);
	assert_int_equal(out.n, n);
	assert_int_equal(bs_order_held(o), 0);
	assert_int_equal(bs_order_late(o), 0);
	/* Each once, as it was, in the order of time, and each thread's in its own order. */
	memset(last, 0, nthreads * sizeof(*last));
	for (i = 0; i < n; i++) {
		const struct bs_event *ev = &out.v[i];

		assert_true(ev->id < n && !ref[ev->id].gone);
		assert_memory_equal(ev, &ref[ev->id].ev, sizeof(*ev));
		assert_int_equal(ref[ev->id].time, sorted[i]);
		assert_true(ev->id + 1 > last[ev->tid]);
		last[ev->tid] = ev->id + 1;
		ref[ev->id].gone = 1;
	}
	free(out.v);
	free(ref);
	free(clock);
	free(last);
	free(sorted);
	bs_order_free(o);
}

static void any_interleaving(void **state)
{
	(void)state;
	for (unsigned s = 0; s < 200; s++) {
		seed_set(s);
		interleaved(1 + (unsigned)(rnd() % 40), 1 + (unsigned)(rnd() % 3000),
			    s % 2 ? 1 : 200, s % 3 != 0);
	}
	seed_set(1);
	interleaved(5000, 40000, 3, 1);
}

/*
 * A thread's fork, or its hit of a trap, comes by the ring at once; what it had recorded before
 * comes later, when its buffers are looked at, one after the other.  Each keeps its own time.
 */
static void streams_of_a_thread(void **state)
{
	struct bs_event early[] = {event(1, 100, 0), event(1, 300, 2), event(1, 600, 5)};
	struct bs_event other[] = {event(1, 200, 1), event(1, 500, 4)};
	struct bs_slots run = {.pid = early[0].pid, .tid = 1, .stream = 7};
	struct bscope_slot slots[2];
	struct bs_order *o = bs_order_new(100);
	const uint64_t want[] = {0, 1, 2, 3, 4, 5, 6};
	struct out out = {0};

	(void)state;
	push(o, 1, 700, 6);
	push(o, 2, 400, 3);
	push_slots(o, early, 3);
	for (size_t i = 0; i < 2; i++)
		slots[i] = (struct bscope_slot){other[i].ts_ns << BSCOPE_SLOT_TIME_SHIFT |
							(other[i].id & 7) << BSCOPE_SLOT_LAP_SHIFT |
							77,
						other[i].id};
	run.v = slots;
	run.n = 2;
	assert_int_equal(bs_order_push_slots(o, &run, 2), 0);
	assert_int_equal(release(o, UINT64_MAX, &out), 0);
	expect(&out, want, 7);
	assert_int_equal(bs_order_late(o), 0);
	free(out.v);
	bs_order_free(o);
}

/*
 * Pushing and releasing mixed, with events that come too late and with too many held, against a
 * model that is a plain array searched for its least element.
 */
static void mixed(unsigned nthreads, unsigned n, size_t most)
{
	struct ref *ref = calloc(n, sizeof(*ref));
	uint64_t *last = calloc(nthreads, sizeof(*last)), gone = 0, late = 0;
	unsigned *own = calloc(nthreads, sizeof(*own)); /* held, by thread */
	struct bs_order *o = bs_order_new(most);
	struct out out = {0};
	size_t held = 0, checked = 0;

	for (unsigned i = 0; i < n; i++) {
		uint32_t tid = (uint32_t)(rnd() % nthreads);
		uint64_t now = 1000 + i, ts = now - rnd() % (rnd() % 64 ? 30 : 900), w;

		/* What came before in its thread holds an event back only until it has gone. */
		if (!own[tid] && last[tid] < gone)
			last[tid] = 0;
		own[tid]++;
		ref[i].ev = event(tid, ts, i);
		ref[i].time = ts > last[tid] ? ts : last[tid];
		last[tid] = ref[i].time;
		late += ref[i].time < gone;
		held++;
		push_run(o, ref, i, i + 1);
		if (rnd() % 20)
			continue;

		w = now - 20 - rnd() % 20;
		release(o, w, &out);
		for (;;) {
			struct ref *least = NULL, *came, *of_thread = NULL;

			for (unsigned k = i > 2000 ? i - 2000 : 0; k <= i; k++) {
				if (!ref[k].gone && (!least || ref[k].time < least->time))
					least = &ref[k];
			}
			if (!least || (least->time > w && least->time >= gone && held <= most))
				break;
			assert_true(checked < out.n);
			/* At equal times any thread's, but the first of its thread. */
			came = &ref[out.v[checked++].id];
			for (unsigned k = 0; k <= i && !of_thread; k++)
				if (!ref[k].gone && ref[k].ev.tid == came->ev.tid)
					of_thread = &ref[k];
			assert_ptr_equal(came, of_thread);
			assert_int_equal(came->time, least->time);
			came->gone = 1;
			own[came->ev.tid]--;
			held--;
			if (least->time > gone)
				gone = least->time;
		}
		assert_int_equal(checked, out.n);
		assert_int_equal(bs_order_held(o), held);
		assert_true(held <= most);
		assert_int_equal(bs_order_late(o), late);
	}
	free(out.v);
	free(ref);
	free(last);
	free(own);
	bs_order_free(o);
}

static void pushing_and_releasing_mixed(void **state)
{
	(void)state;
	for (unsigned s = 0; s < 60; s++) {
		seed_set(1000 + s);
		mixed(1 + (unsigned)(rnd() % 300), 3000, s % 2 ? 10 + rnd() % 40 : 100000);
	}
}

/* Threads come and go by the million; what is kept follows those that are active. */
static void threads_come_and_go(void **state)
{
	struct bs_order *o = bs_order_new(100);
	struct out out = {0};
	uint64_t next = 0;

	(void)state;
	for (uint64_t i = 0; i < 1000000; i++) {
		push(o, (uint32_t)i, 10 * i, i);
		if (i % 50)
			continue;
		release(o, 10 * i, &out);
		for (size_t k = 0; k < out.n; k++)
			assert_int_equal(out.v[k].id, next++);
		out.n = 0;
	}
	assert_int_equal(bs_order_late(o), 0);
	free(out.v);
	bs_order_free(o);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(watermark),
		cmocka_unit_test(equal_stamps),
		cmocka_unit_test(a_thread_never_goes_back),
		cmocka_unit_test(late_events),
		cmocka_unit_test(stop_and_go_on),
		cmocka_unit_test(max_held),
		cmocka_unit_test(any_interleaving),
		cmocka_unit_test(streams_of_a_thread),
		cmocka_unit_test(pushing_and_releasing_mixed),
		cmocka_unit_test(threads_come_and_go),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
