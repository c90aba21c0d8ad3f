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
	size_t stop_at; /* return -EINTR with this many */
};

static int keep(void *ctx, const struct bs_event *ev)
{
	struct out *o = ctx;

	if (o->n == o->cap) {
		o->cap = o->cap ? o->cap * 2 : 64;
		o->v = realloc(o->v, o->cap * sizeof(*o->v));
		assert_non_null(o->v);
	}
	o->v[o->n++] = *ev;
	return o->stop_at && o->n == o->stop_at ? -EINTR : 0;
}

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

static void push(struct bs_order *o, uint32_t tid, uint64_t ts, uint64_t id)
{
	struct bs_event ev = event(tid, ts, id);

	assert_int_equal(bs_order_push(o, &ev), 0);
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
	assert_int_equal(bs_order_release(o, 49, keep, &out), 0);
	expect(&out, NULL, 0);
	assert_int_equal(bs_order_release(o, 150, keep, &out), 0);
	EXPECT(&out, 2, 1, 4);
	assert_int_equal(bs_order_held(o), 1);
	assert_int_equal(bs_order_release(o, 150, keep, &out), 0);
	expect(&out, NULL, 0);
	assert_int_equal(bs_order_release(o, UINT64_MAX, keep, &out), 0);
	EXPECT(&out, 3);
	assert_int_equal(bs_order_held(o), 0);
	assert_int_equal(bs_order_late(o), 0);
	bs_order_free(o);
}

static void equal_stamps_keep_the_order_of_pushing(void **state)
{
	struct bs_order *o = bs_order_new(1000);
	struct out out = {0};

	(void)state;
	for (uint64_t i = 0; i < 6; i++)
		push(o, (uint32_t)(6 - i), 10, i);
	bs_order_release(o, 10, keep, &out);
	EXPECT(&out, 0, 1, 2, 3, 4, 5);
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
	bs_order_release(o, 99, keep, &out);
	EXPECT(&out, 3);
	bs_order_release(o, 100, keep, &out);
	assert_int_equal(out.v[1].ts_ns, 90); /* the stamp itself stays */
	EXPECT(&out, 1, 2);
	bs_order_release(o, 200, keep, &out);
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
	bs_order_release(o, 500, keep, &out);
	EXPECT(&out, 1);
	push(o, 2, 300, 2); /* below the watermark, but nothing younger has gone: in time */
	assert_int_equal(bs_order_late(o), 0);
	push(o, 2, 400, 3);
	bs_order_release(o, 500, keep, &out);
	EXPECT(&out, 2, 3);
	push(o, 3, 350, 4);
	push(o, 4, 340, 5);
	push(o, 1, 450, 6);
	assert_int_equal(bs_order_late(o), 2);
	/* Passed on even though the watermark has stepped back. */
	bs_order_release(o, 0, keep, &out);
	EXPECT(&out, 5, 4);
	bs_order_release(o, 450, keep, &out);
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
	assert_int_equal(bs_order_release(o, 100, keep, &out), -EINTR);
	EXPECT(&out, 1, 2);
	assert_int_equal(bs_order_held(o), 3);
	assert_int_equal(bs_order_release(o, 100, keep, &out), 0);
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
	bs_order_release(o, 0, keep, &out);
	EXPECT(&out, 3, 2);
	assert_int_equal(bs_order_held(o), 3);
	assert_false(bs_order_full(o));
	push(o, 7, 75, 6); /* 80 went early: too late now */
	assert_int_equal(bs_order_late(o), 1);
	bs_order_release(o, 0, keep, &out);
	EXPECT(&out, 6);
	bs_order_free(o);

	o = bs_order_new(0);
	push(o, 1, UINT64_MAX, 1);
	push(o, 2, 0, 2);
	bs_order_release(o, 0, keep, &out);
	EXPECT(&out, 2, 1);
	bs_order_free(o);
	bs_order_free(NULL);
}

/* --- any interleaving against a full sort --------------------------------------------------- */

struct ref {
	struct bs_event ev;
	uint64_t time, seq;
	int gone;
};

static int ref_cmp(const void *x, const void *y)
{
	const struct ref *a = x, *b = y;

	if (a->time != b->time)
		return a->time < b->time ? -1 : 1;
	return (a->seq > b->seq) - (a->seq < b->seq);
}

/*
 * Threads whose events arrive in any order between them, in runs of any length, with stamps that
 * repeat and sometimes step back; released in one go or in steps.
 */
static void interleaved(unsigned nthreads, unsigned n, unsigned longest_run, int steps)
{
	struct ref *ref = calloc(n, sizeof(*ref));
	uint64_t *clock = calloc(nthreads, sizeof(*clock)), *last = calloc(nthreads, sizeof(*last));
	struct bs_order *o = bs_order_new(n);
	struct out out = {0};
	size_t done = 0;
	unsigned i = 0;

	while (i < n) {
		uint32_t tid = (uint32_t)(rnd() % nthreads);

		for (unsigned run = 1 + (unsigned)(rnd() % longest_run); run && i < n; run--, i++) {
			clock[tid] += rnd() % 4;
			ref[i].ev = event(tid, clock[tid], i);
			if (!(rnd() % 16))
				ref[i].ev.ts_ns -= ref[i].ev.ts_ns > 9 ? rnd() % 9 : 0;
			ref[i].seq = i;
			ref[i].time = ref[i].ev.ts_ns > last[tid] ? ref[i].ev.ts_ns : last[tid];
			last[tid] = ref[i].time;
			assert_int_equal(bs_order_push(o, &ref[i].ev), 0);
		}
	}
	qsort(ref, n, sizeof(*ref), ref_cmp);
	if (steps) {
		for (uint64_t w = 0; w < ref[n - 1].time; w += 1 + rnd() % 50) {
			bs_order_release(o, w, keep, &out);
			while (done < n && ref[done].time <= w)
				done++;
			assert_int_equal(out.n, done);
			assert_int_equal(bs_order_held(o), n - done);
		}
	}
	bs_order_release(o, UINT64_MAX, keep, &out);
	assert_int_equal(out.n, n);
	assert_int_equal(bs_order_late(o), 0);
	for (i = 0; i < n; i++)
		assert_memory_equal(&out.v[i], &ref[i].ev, sizeof(struct bs_event));
	free(out.v);
	free(ref);
	free(clock);
	free(last);
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
		ref[i].seq = i;
		ref[i].time = ts > last[tid] ? ts : last[tid];
		last[tid] = ref[i].time;
		late += ref[i].time < gone;
		held++;
		assert_int_equal(bs_order_push(o, &ref[i].ev), 0);
		if (rnd() % 20)
			continue;

		w = now - 20 - rnd() % 20;
		bs_order_release(o, w, keep, &out);
		for (;;) {
			struct ref *least = NULL;

			for (unsigned k = i > 2000 ? i - 2000 : 0; k <= i; k++) {
				if (!ref[k].gone && (!least || ref_cmp(&ref[k], least) < 0))
					least = &ref[k];
			}
			if (!least || (least->time > w && least->time >= gone && held <= most))
				break;
			assert_true(checked < out.n);
			assert_int_equal(out.v[checked].id, least->ev.id);
			checked++;
			least->gone = 1;
			own[least->ev.tid]--;
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
		bs_order_release(o, 10 * i, keep, &out);
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
		cmocka_unit_test(equal_stamps_keep_the_order_of_pushing),
		cmocka_unit_test(a_thread_never_goes_back),
		cmocka_unit_test(late_events),
		cmocka_unit_test(stop_and_go_on),
		cmocka_unit_test(max_held),
		cmocka_unit_test(any_interleaving),
		cmocka_unit_test(pushing_and_releasing_mixed),
		cmocka_unit_test(threads_come_and_go),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
