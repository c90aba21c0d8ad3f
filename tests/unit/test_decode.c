/* SPDX-License-Identifier: GPL-2.0-only */
/* test_decode.c - ring records against what their site says about them. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "bpf/event.h"
#include "bscope/abi.h"
#include "bscope/buffer.h"
#include "decode/decode.h"
#include "decode/stacks.h"
#include "decode/tsc.h"
#include "target/sites.h"

/* A table of our own in place of tools/target's: one site per index, place = index + 100. */
#define NSITES 64
static struct bs_expansion expansion[NSITES];
static uint32_t nsites;

const struct bs_expansion *bs_sites_get(const struct bs_sites *s, uint32_t index)
{
	(void)s;
	return index && index < nsites ? &expansion[index] : NULL;
}

static uint32_t add_site(unsigned kind, unsigned nargs, unsigned flags)
{
	uint32_t i = nsites++;

	expansion[i] = (struct bs_expansion){.place = i + 100,
					     .klass_id = i + 7,
					     .kind = (uint8_t)kind,
					     .flags = (uint8_t)flags,
					     .nargs = (uint8_t)nargs,
					     .chosen = true};
	return i;
}

static int reset(void **state)
{
	(void)state;
	nsites = 1;
	return 0;
}

static uint32_t code_calls;
static uint32_t code_of(void *ctx, uint32_t pid, uint64_t addr)
{
	assert_ptr_equal(ctx, &code_calls);
	assert_int_equal(pid, 42);
	code_calls++;
	return (uint32_t)(addr & 0xffff);
}

static struct bs_ring_event record(uint32_t type, uint32_t index)
{
	return (struct bs_ring_event){
		.ts_ns = 123456789012345ull,
		.pid = 42,
		.tid = 43,
		.type = type,
		.site = index,
		.args = {0xffffffff00000001ull, 0x1122334455667788ull, 0x7f0000004711ull},
	};
}

static int decode(const struct bs_ring_event *rec, struct bs_event *ev)
{
	struct bs_decoder d = {.code = code_of, .code_ctx = &code_calls};
	int err;

	memset(ev, 0xa5, sizeof(*ev));
	err = bs_decode(&d, rec, sizeof(*rec), ev);
	assert_int_equal(d.bad, err ? 1 : 0);
	bs_decoder_fini(&d);
	return err;
}

static void marks_by_kind(void **state)
{
	/* What abi.h says about the operands, written down once more. */
	static const struct {
		uint8_t kind, nargs, flags, has;
	} want[] = {
		{BSCOPE_KIND_NEW, 2, 0, 0},
		{BSCOPE_KIND_NEW, 2, BSCOPE_SITE_SIZED, BS_EVENT_HAS_BYTES},
		{BSCOPE_KIND_NEW, 3, BSCOPE_SITE_SIZED | BSCOPE_SITE_CALLER,
		 BS_EVENT_HAS_BYTES | BS_EVENT_HAS_CALLER},
		{BSCOPE_KIND_NEW, 3, BSCOPE_SITE_CALLER, BS_EVENT_HAS_CALLER},
		{BSCOPE_KIND_DROP, 1, 0, 0},
		{BSCOPE_KIND_DROP, 3, BSCOPE_SITE_CALLER, BS_EVENT_HAS_CALLER},
		{BSCOPE_KIND_DROP, 3, BSCOPE_SITE_CALLER | BSCOPE_SITE_TRIES,
		 BS_EVENT_HAS_CALLER | BS_EVENT_TRIES},
		{BSCOPE_KIND_DROP, 2, BSCOPE_SITE_TRIES, BS_EVENT_TRIES},
		{BSCOPE_KIND_RESIZE_BEGIN, 1, 0, 0},
		{BSCOPE_KIND_RESIZE_END, 2, BSCOPE_SITE_SIZED, BS_EVENT_HAS_BYTES},
		{BSCOPE_KIND_RESIZE_END, 2, 0, BS_EVENT_HAS_BYTES},
		{BSCOPE_KIND_RESIZE_END, 3, BSCOPE_SITE_SIZED | BSCOPE_SITE_CALLER,
		 BS_EVENT_HAS_BYTES | BS_EVENT_HAS_CALLER},
		{BSCOPE_KIND_MOVE, 2, 0, BS_EVENT_HAS_OTHER},
		{BSCOPE_KIND_BORROW, 2, 0, BS_EVENT_HAS_OTHER},
		{BSCOPE_KIND_BORROW_MUT, 2, 0, BS_EVENT_HAS_OTHER},
		{BSCOPE_KIND_BORROW, 3, BSCOPE_SITE_CALLER | BSCOPE_SITE_WAITS,
		 BS_EVENT_HAS_OTHER | BS_EVENT_HAS_CALLER | BS_EVENT_WAITS},
		{BSCOPE_KIND_BORROW_MUT, 2, BSCOPE_SITE_WAITS, BS_EVENT_HAS_OTHER | BS_EVENT_WAITS},
		{BSCOPE_KIND_UNBORROW, 2, 0, BS_EVENT_HAS_OTHER},
		/* Flags that mean nothing to a kind. */
		{BSCOPE_KIND_UNBORROW, 2, BSCOPE_SITE_WAITS | BSCOPE_SITE_TRIES,
		 BS_EVENT_HAS_OTHER},
		{BSCOPE_KIND_RETAIN, 1, 0, 0},
		{BSCOPE_KIND_RELEASE, 1, 0, 0},
		{BSCOPE_KIND_USE, 2, 0, BS_EVENT_HAS_OTHER},
		{BSCOPE_KIND_REGION_ENTER, 1, 0, 0},
		{BSCOPE_KIND_REGION_EXIT, 1, 0, 0},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(want) / sizeof(want[0]); i++) {
		uint32_t index = add_site(want[i].kind, want[i].nargs, want[i].flags);
		struct bs_ring_event rec = record(BS_RING_MARK, index);
		bool caller = want[i].has & BS_EVENT_HAS_CALLER;
		struct bs_event ev;

		code_calls = 0;
		assert_int_equal(decode(&rec, &ev), 0);
		assert_int_equal(ev.type, BS_EVENT_MARK);
		assert_int_equal(ev.kind, want[i].kind);
		assert_int_equal(ev.has, want[i].has);
		assert_int_equal(ev.ts_ns, 123456789012345ull);
		assert_int_equal(ev.pid, 42);
		assert_int_equal(ev.tid, 43);
		assert_int_equal(ev.id, 0xffffffff00000001ull);
		assert_int_equal(ev.place, index + 100);
		assert_int_equal(ev.klass_id, index + 7);
		/* An operand that the site has not says nothing, whatever the record holds. */
		assert_int_equal(ev.arg, want[i].has & (BS_EVENT_HAS_BYTES | BS_EVENT_HAS_OTHER |
							BS_EVENT_TRIES)
						 ? 0x1122334455667788ull
						 : 0);
		assert_int_equal(ev.code, caller ? 0x4711 : 0);
		assert_int_equal(code_calls, caller);
		if (want[i].kind == BSCOPE_KIND_NEW)
			assert_int_equal(ev.stratum,
					 (index ^ (want[i].nargs > 2 ? 0x11 ^ 0x71 : 0)) & 255);
	}
}

static void operands_the_site_has_not(void **state)
{
	uint32_t index = add_site(BSCOPE_KIND_NEW, 1, BSCOPE_SITE_SIZED | BSCOPE_SITE_CALLER);
	struct bs_ring_event rec = record(BS_RING_MARK, index);
	struct bs_event ev;

	(void)state;
	code_calls = 0;
	assert_int_equal(decode(&rec, &ev), 0);
	assert_int_equal(ev.has, 0);
	assert_int_equal(ev.arg, 0);
	assert_int_equal(ev.code, 0);
	assert_int_equal(code_calls, 0);
}

static void caller_without_resolver(void **state)
{
	uint32_t index = add_site(BSCOPE_KIND_NEW, 3, BSCOPE_SITE_SIZED | BSCOPE_SITE_CALLER);
	struct bs_ring_event rec = record(BS_RING_MARK, index);
	struct bs_decoder d = {0};
	struct bs_event ev;

	(void)state;
	assert_int_equal(bs_decode(&d, &rec, sizeof(rec), &ev), 0);
	assert_int_equal(ev.code, 0);
	assert_int_equal(ev.has, BS_EVENT_HAS_BYTES | BS_EVENT_HAS_CALLER);
	bs_decoder_fini(&d);
}

static void life(void **state)
{
	struct bs_ring_event rec = record(BS_RING_FORK, 0);
	struct bs_event ev;

	(void)state;
	for (uint64_t shares = 0; shares < 2; shares++) {
		rec.args[0] = 4711;
		rec.args[1] = shares;
		assert_int_equal(decode(&rec, &ev), 0);
		assert_int_equal(ev.type, BS_EVENT_FORK);
		assert_int_equal(ev.arg, 4711);
		assert_int_equal(ev.id, shares);
	}
	assert_int_equal(ev.kind, 0);
	assert_int_equal(ev.place, 0);
	assert_int_equal(ev.klass_id, 0);
	assert_int_equal(ev.has, 0);

	rec.args[0] = 0;
	assert_int_equal(decode(&rec, &ev), -EBADMSG);
	rec.args[0] = 0x80000000ull;
	assert_int_equal(decode(&rec, &ev), -EBADMSG);

	rec = record(BS_RING_EXEC, 0);
	rec.args[2] = 4;
	assert_int_equal(decode(&rec, &ev), 0);
	assert_int_equal(ev.type, BS_EVENT_EXEC);
	assert_int_equal(ev.has, 0);
	rec.args[2] = 6 | BS_EXEC_HEARD;
	assert_int_equal(decode(&rec, &ev), 0);
	assert_int_equal(ev.has, BS_EVENT_HEARD);
	assert_int_equal(ev.code, 6);

	rec = record(BS_RING_KILLED, 0);
	assert_int_equal(decode(&rec, &ev), 0);
	assert_int_equal(ev.type, BS_EVENT_KILLED);

	rec = record(BS_RING_EXIT, 0);
	rec.args[0] = 0x8b;
	assert_int_equal(decode(&rec, &ev), 0);
	assert_int_equal(ev.type, BS_EVENT_EXIT);
	assert_int_equal(ev.arg, 0x8b);
}

static void refused(void **state)
{
	uint32_t good = add_site(BSCOPE_KIND_DROP, 1, 0), dark = add_site(BSCOPE_KIND_DROP, 1, 0);
	uint32_t odd = add_site(BSCOPE_KIND_END, 1, 0), zero = add_site(0, 1, 0);
	uint32_t homeless = add_site(BSCOPE_KIND_DROP, 1, 0);
	struct bs_ring_event rec = record(BS_RING_MARK, good);
	struct bs_decoder d = {0};
	struct bs_event ev;

	(void)state;
	expansion[dark].chosen = false;
	expansion[homeless].klass_id = 0;

	assert_int_equal(bs_decode(&d, &rec, sizeof(rec), &ev), 0);
	for (size_t size = 0; size < 200; size++) {
		char buf[200] = {0};

		memcpy(buf, &rec, sizeof(rec));
		if (size != sizeof(rec))
			assert_int_equal(bs_decode(&d, buf, size, &ev), -EBADMSG);
	}
	assert_int_equal(d.bad, 199);
	bs_decoder_fini(&d);

	for (uint32_t index = 0; index < 100; index++) {
		rec.site = index;
		assert_int_equal(decode(&rec, &ev), index == good ? 0 : -EBADMSG);
	}
	rec.site = UINT32_MAX;
	assert_int_equal(decode(&rec, &ev), -EBADMSG);
	assert_true(odd && zero);

	rec = record(BS_RING_MARK, good);
	for (uint32_t type = 0; type < 300; type++) {
		rec.type = type;
		rec.args[0] = 5;
		assert_int_equal(decode(&rec, &ev), (type >= 1 && type <= 5) ||
								    type == BS_RING_MARK_STACK ||
								    type == BS_RING_KILLED
							    ? 0
							    : -EBADMSG);
	}
}

/* Any bytes: refused or decoded to something in range, and never read past their end. */
static void random_bytes(void **state)
{
	uint64_t x = 88172645463325252ull;
	struct bs_decoder d = {0};
	uint64_t good = 0;

	(void)state;
	for (unsigned kind = BSCOPE_KIND_NEW; kind < BSCOPE_KIND_END; kind++)
		add_site(kind, 1 + kind % 3, kind % 4);
	for (unsigned round = 0; round < 100000; round++) {
		size_t size = round % 8 ? sizeof(struct bs_ring_event) : round % 97;
		unsigned char *buf = malloc(size + 1);
		struct bs_event ev;

		assert_non_null(buf);
		for (size_t i = 0; i < size; i++) {
			x ^= x << 13;
			x ^= x >> 7;
			x ^= x << 17;
			buf[i] = (unsigned char)x;
		}
		/* Mostly plausible headers, so that all paths are taken. */
		if (size == sizeof(struct bs_ring_event) && round % 3) {
			uint32_t type = (uint32_t)(x >> 8) % 6, index = (uint32_t)(x >> 16) % 16;

			memcpy(buf + offsetof(struct bs_ring_event, type), &type, 4);
			memcpy(buf + offsetof(struct bs_ring_event, site), &index, 4);
		}
		/* One off alignment: the ring promises 8, a file promises nothing. */
		memmove(buf + 1, buf, size);
		if (!bs_decode(&d, buf + 1, size, &ev)) {
			good++;
			assert_in_range(ev.type, BS_EVENT_MARK, BS_EVENT_FORGOTTEN);
			assert_in_range(ev.kind, 0, BSCOPE_KIND_END - 1);
			assert_int_equal(!ev.place,
					 ev.type != BS_EVENT_MARK && ev.type != BS_EVENT_FORGOTTEN);
		}
		free(buf);
	}
	assert_int_equal(good + d.bad, 100000);
	bs_decoder_fini(&d);
	assert_true(good > 10000);
}

/* --- slots -------------------------------------------------------------------------------------
 */

/* One tick is one ns, from an odd start. */
#define TSC_START 0x123456789abcull
#define NS_START  7000000000ull

static struct bs_tsc one_ghz(void)
{
	struct bs_tsc t = {0};

	bs_tsc_add(&t, TSC_START, NS_START);
	bs_tsc_add(&t, TSC_START + 1000000000, NS_START + 1000000000);
	return t;
}

static struct bscope_slot event_slot(uint64_t stamp, uint32_t index, uint64_t id)
{
	/* Any lap: what is of the right one was decided before. */
	return (struct bscope_slot){stamp << 24 | (uint64_t)(id & 7) << 21 | index, id};
}

static struct bscope_slot second_slot(uint64_t a1, uint64_t a2)
{
	return (struct bscope_slot){
		a2 << 24 | (a1 & 7) << 21 | 1u << 20 | (a2 >> 40 & ((1u << 20) - 1)), a1};
}

static const struct bscope_slot empty_slot = {1u << 24, 0};

static struct bs_event *got;
static size_t ngot;

/* Prepared and decoded, on memory that ends where they do. */
static void prepare_and_decode(struct bs_decoder *d, const struct bscope_slot *v, size_t n,
			       const struct bs_tsc *t, uint64_t reference)
{
	struct bscope_slot *raw = malloc(n * sizeof(*v) + 1), *out = malloc(n * sizeof(*v) + 1);
	struct bscope_slot *exact;
	struct bs_slots slots;
	size_t events, own = 0;

	assert_non_null(raw);
	assert_non_null(out);
	memcpy(raw, v, n * sizeof(*v));
	events = bs_decode_prepare(d, 42, 43, raw, NULL, n, t, reference, out, &slots);
	assert_int_equal(slots.pid, 42);
	assert_int_equal(slots.tid, 43);
	assert_ptr_equal(slots.v, out);
	assert_true(slots.n <= n);
	for (size_t i = 0; i < slots.n; i++)
		own += !(out[i].head & BSCOPE_SLOT_EXTRA);
	assert_int_equal(own, events);
	exact = malloc(slots.n * sizeof(*v) + 1);
	assert_non_null(exact);
	memcpy(exact, out, slots.n * sizeof(*v));
	slots.v = exact;
	free(got);
	got = malloc(slots.n * sizeof(*got) + 1);
	assert_non_null(got);
	ngot = bs_decode_slots(d, &slots, got);
	assert_int_equal(ngot, events);
	free(exact);
	free(raw);
	free(out);
}

/* *bad: records refused. */
static void slots(const struct bscope_slot *v, size_t n, uint64_t *bad)
{
	struct bs_decoder d = {.code = code_of, .code_ctx = &code_calls, .bad = 1000};
	struct bs_tsc t = one_ghz();

	prepare_and_decode(&d, v, n, &t, TSC_START + 5000000000ull);
	*bad = d.bad - 1000;
	bs_decoder_fini(&d);
}

/* Every kind, with as many operands as it can have: what abi.h says, written down once more. */
static void slots_by_kind(void **state)
{
	static const struct {
		uint8_t kind, nargs, flags, has;
	} want[] = {
		{BSCOPE_KIND_NEW, 1, 0, 0},
		{BSCOPE_KIND_NEW, 2, BSCOPE_SITE_SIZED, BS_EVENT_HAS_BYTES},
		{BSCOPE_KIND_NEW, 3, BSCOPE_SITE_SIZED | BSCOPE_SITE_CALLER,
		 BS_EVENT_HAS_BYTES | BS_EVENT_HAS_CALLER},
		{BSCOPE_KIND_DROP, 1, 0, 0},
		{BSCOPE_KIND_DROP, 3, BSCOPE_SITE_CALLER, BS_EVENT_HAS_CALLER},
		{BSCOPE_KIND_DROP, 3, BSCOPE_SITE_CALLER | BSCOPE_SITE_TRIES,
		 BS_EVENT_HAS_CALLER | BS_EVENT_TRIES},
		{BSCOPE_KIND_DROP, 2, BSCOPE_SITE_TRIES, BS_EVENT_TRIES},
		{BSCOPE_KIND_RESIZE_BEGIN, 1, 0, 0},
		{BSCOPE_KIND_RESIZE_END, 2, 0, BS_EVENT_HAS_BYTES},
		{BSCOPE_KIND_RESIZE_END, 3, BSCOPE_SITE_CALLER,
		 BS_EVENT_HAS_BYTES | BS_EVENT_HAS_CALLER},
		{BSCOPE_KIND_MOVE, 2, 0, BS_EVENT_HAS_OTHER},
		{BSCOPE_KIND_BORROW, 2, 0, BS_EVENT_HAS_OTHER},
		{BSCOPE_KIND_BORROW_MUT, 2, 0, BS_EVENT_HAS_OTHER},
		{BSCOPE_KIND_BORROW, 3, BSCOPE_SITE_CALLER | BSCOPE_SITE_WAITS,
		 BS_EVENT_HAS_OTHER | BS_EVENT_HAS_CALLER | BS_EVENT_WAITS},
		{BSCOPE_KIND_BORROW_MUT, 2, BSCOPE_SITE_WAITS, BS_EVENT_HAS_OTHER | BS_EVENT_WAITS},
		{BSCOPE_KIND_UNBORROW, 2, 0, BS_EVENT_HAS_OTHER},
		/* Flags that mean nothing to a kind. */
		{BSCOPE_KIND_UNBORROW, 2, BSCOPE_SITE_WAITS | BSCOPE_SITE_TRIES,
		 BS_EVENT_HAS_OTHER},
		{BSCOPE_KIND_RETAIN, 1, 0, 0},
		{BSCOPE_KIND_RELEASE, 1, 0, 0},
		{BSCOPE_KIND_USE, 2, 0, BS_EVENT_HAS_OTHER},
		{BSCOPE_KIND_REGION_ENTER, 1, 0, 0},
		{BSCOPE_KIND_REGION_EXIT, 1, 0, 0},
	};
	enum { N = sizeof(want) / sizeof(want[0]) };
	struct bscope_slot v[3 * N];
	uint64_t bad, a1 = 0xfedcba9876543210ull;
	size_t n = 0, callers = 0;

	(void)state;
	for (size_t i = 0; i < N; i++) {
		uint32_t index = add_site(want[i].kind, want[i].nargs, want[i].flags);

		v[n++] = event_slot(TSC_START + 1000 * i, index, UINT64_MAX - i);
		/* One that the site has not is what was in a register. */
		if (want[i].nargs > 1)
			v[n++] = second_slot(a1 + i, (want[i].nargs > 2 ? 0x1ff00000004711ull
									: 0x1ff15580004711ull) +
							     i);
		if (i % 3 == 0)
			v[n++] = empty_slot;
	}
	code_calls = 0;
	slots(v, n, &bad);
	assert_int_equal(bad, 0);
	assert_int_equal(ngot, N);
	for (size_t i = 0; i < N; i++) {
		bool other =
			want[i].has & (BS_EVENT_HAS_BYTES | BS_EVENT_HAS_OTHER | BS_EVENT_TRIES);
		bool caller = want[i].has & BS_EVENT_HAS_CALLER;

		assert_int_equal(got[i].type, BS_EVENT_MARK);
		assert_int_equal(got[i].kind, want[i].kind);
		assert_int_equal(got[i].has, want[i].has);
		assert_int_equal(got[i].pid, 42);
		assert_int_equal(got[i].tid, 43);
		assert_int_equal(got[i].id, UINT64_MAX - i);
		assert_int_equal(got[i].place, i + 101);
		assert_int_equal(got[i].klass_id, i + 8);
		assert_in_range(got[i].ts_ns, NS_START + 1000 * i - 1, NS_START + 1000 * i + 1);
		assert_int_equal(got[i].arg, other ? a1 + i : 0);
		assert_int_equal(got[i].code, caller ? 0x4711 + i : 0);
		callers += caller;
		if (want[i].kind == BSCOPE_KIND_NEW) {
			uint64_t by = caller ? 0x4711 + i : 0;

			assert_int_equal(got[i].stratum, ((i + 1) ^ by ^ by >> 4) & 255);
		}
	}
	assert_int_equal(callers, 5);
	assert_int_equal(code_calls, callers);
}

/* All 57 bits of the address of a caller arrive at the resolver. */
static uint64_t code_asked;
static uint32_t code_note(void *ctx, uint32_t pid, uint64_t addr)
{
	(void)ctx;
	(void)pid;
	code_asked = addr;
	return 1;
}

static void slots_caller_bits(void **state)
{
	uint32_t index = add_site(BSCOPE_KIND_NEW, 3, BSCOPE_SITE_SIZED | BSCOPE_SITE_CALLER);
	struct bs_decoder d = {.code = code_note};
	struct bs_tsc t = one_ghz();

	(void)state;
	for (unsigned bit = 0; bit < 57; bit++)
		for (unsigned inverse = 0; inverse < 2; inverse++) {
			uint64_t addr = inverse ? ~(1ull << bit) & ((1ull << 57) - 1) : 1ull << bit;
			const struct bscope_slot v[2] = {event_slot(TSC_START, index, 1),
							 second_slot(64, addr)};

			code_asked = 0;
			prepare_and_decode(&d, v, 2, &t, TSC_START);
			assert_int_equal(code_asked, addr);
			assert_int_equal(got[0].stratum, (index ^ addr ^ addr >> 4) & 255);
			assert_int_equal(got[0].arg, 64);
		}
	assert_int_equal(d.bad, 0);
	bs_decoder_fini(&d);
}

/* Second slots that are missing: at the end, before another event, before an empty slot. */
static void slots_without_second(void **state)
{
	uint32_t pair = add_site(BSCOPE_KIND_MOVE, 2, 0), one = add_site(BSCOPE_KIND_DROP, 1, 0);
	const struct bscope_slot v[] = {
		event_slot(TSC_START + 1, pair, 1), /* bad */
		event_slot(TSC_START + 2, one, 2),
		event_slot(TSC_START + 3, pair, 3), /* bad */
		empty_slot,
		event_slot(TSC_START + 4, pair, 4), /* bad */
		event_slot(TSC_START + 5, pair, 5),
		second_slot(55, 0),
		event_slot(TSC_START + 6, pair, 6), /* bad */
	};
	uint64_t bad;

	(void)state;
	slots(v, 8, &bad);
	assert_int_equal(bad, 4);
	assert_int_equal(ngot, 2);
	assert_int_equal(got[0].id, 2);
	assert_int_equal(got[1].id, 5);
	assert_int_equal(got[1].arg, 55);
	slots(v, 7, &bad);
	assert_int_equal(bad, 3);
	slots(v, 6, &bad);
	assert_int_equal(bad, 4);
	assert_int_equal(ngot, 1);
	slots(v, 0, &bad);
	assert_int_equal(bad + ngot, 0);
}

/* Second slots whose event is not there, or has no need of them: no events, and no fault. */
static void slots_orphans(void **state)
{
	uint32_t pair = add_site(BSCOPE_KIND_MOVE, 2, 0), one = add_site(BSCOPE_KIND_DROP, 1, 0);
	const struct bscope_slot v[] = {
		second_slot(1, 1),
		second_slot(2, 2),
		event_slot(TSC_START, one, 3),
		second_slot(4, 4),
		empty_slot,
		second_slot(5, 5),
		event_slot(TSC_START, pair, 6),
		second_slot(7, 7),
		second_slot(8, 8),
	};
	uint64_t bad;

	(void)state;
	slots(v, 9, &bad);
	/* An empty slot with operands forgets an object, at a site; there is none of that number.
	 */
	assert_int_equal(bad, 1);
	assert_int_equal(ngot, 2);
	assert_int_equal(got[0].id, 3);
	assert_int_equal(got[0].arg, 0);
	assert_int_equal(got[1].id, 6);
	assert_int_equal(got[1].arg, 7);
}

/* Numbers of no site, of one that was not chosen, of one that is not understood. */
static void slots_refused(void **state)
{
	uint32_t good = add_site(BSCOPE_KIND_DROP, 1, 0), dark = add_site(BSCOPE_KIND_DROP, 1, 0);
	uint32_t odd = add_site(BSCOPE_KIND_END, 1, 0), homeless = add_site(BSCOPE_KIND_DROP, 1, 0);
	const struct bscope_slot v[] = {
		event_slot(TSC_START, dark, 1),
		event_slot(TSC_START, odd, 2),
		event_slot(TSC_START, homeless, 3),
		event_slot(TSC_START, BSCOPE_SLOT_INDEX_MASK, 4),
		event_slot(TSC_START, homeless + 1, 5),
		event_slot(TSC_START, good, 6),
	};
	uint64_t bad;

	(void)state;
	expansion[dark].chosen = false;
	expansion[homeless].klass_id = 0;
	slots(v, 6, &bad);
	assert_int_equal(bad, 5);
	assert_int_equal(ngot, 1);
	assert_int_equal(got[0].id, 6);
}

/* Stamps are as wide as their slot has room for; all are before the reference. */
static void slots_time(void **state)
{
	static const uint64_t ages[] = {0,	    1,		1000,
					1000000000, 6000000000, (1ull << 40) - (1u << 30)};
	uint32_t one = add_site(BSCOPE_KIND_DROP, 1, 0);
	struct bs_decoder d = {0};
	struct bs_tsc t = {0};
	/* The low 40 bits have just run over. */
	const uint64_t now = (5ull << 40) + 12345;

	(void)state;
	/* Two ticks are a ns. */
	bs_tsc_add(&t, now - 2000000000, 1ull << 50);
	bs_tsc_add(&t, now, (1ull << 50) + 1000000000);
	for (size_t i = 0; i < sizeof(ages) / sizeof(ages[0]); i++) {
		struct bscope_slot v = event_slot(now - ages[i], one, 1);
		uint64_t want = (1ull << 50) + 1000000000 - ages[i] / 2;

		prepare_and_decode(&d, &v, 1, &t, now);
		assert_in_range(got[0].ts_ns, want - 1, want + 1);
	}
	bs_decoder_fini(&d);
}

/* Where stacks are wanted: one slot or two, with a caller or without, with a stack or without. */
static void slots_with_stacks(void **state)
{
	uint32_t one = add_site(BSCOPE_KIND_NEW, 1, 0),
		 two = add_site(BSCOPE_KIND_NEW, 2, BSCOPE_SITE_SIZED),
		 three = add_site(BSCOPE_KIND_NEW, 3, BSCOPE_SITE_SIZED | BSCOPE_SITE_CALLER),
		 drop = add_site(BSCOPE_KIND_DROP, 1, 0);
	const struct bscope_slot v[] = {
		event_slot(TSC_START, one, 1),	       event_slot(TSC_START + 100, one, 2),
		event_slot(TSC_START + 200, two, 3),   second_slot(64, 0),
		event_slot(TSC_START + 300, three, 4), second_slot(65, 0x4011),
		event_slot(TSC_START + 400, three, 5), second_slot(66, 0x4011),
		event_slot(TSC_START + 500, drop, 6),
	};
	struct bscope_slot out[18];
	struct bs_stacks *table = bs_stacks_new();
	struct bs_event ev[9];
	struct bs_decoder d = {.code = code_of, .code_ctx = &code_calls};
	struct bs_slots prepared;
	struct bs_tsc t = one_ghz();
	uint32_t codes[] = {900, 901, 902}, stack, stacks[9] = {0};

	(void)state;
	assert_non_null(table);
	stack = bs_stacks_intern(table, 1, codes, 3, 0);
	stacks[0] = stacks[2] = stacks[4] = stacks[8] = stack;
	d.stacks = table;
	d.stack_kinds = 1u << BSCOPE_KIND_NEW;
	assert_int_equal(
		bs_decode_prepare(&d, 42, 43, v, stacks, 9, &t, TSC_START + 1000, out, &prepared),
		6);
	assert_int_equal(bs_decode_slots(&d, &prepared, ev), 6);
	for (size_t i = 0; i < 6; i++)
		assert_int_equal(ev[i].id, i + 1);
	assert_int_equal(ev[0].code, stack);
	assert_int_equal(ev[1].code, 0);
	assert_int_equal(ev[2].code, stack);
	assert_int_equal(ev[2].arg, 64);
	/* The caller that its site names is behind the site, since the walk did not find it. */
	assert_true(bs_is_stack(ev[3].code) && ev[3].code != stack);
	assert_int_equal(ev[3].arg, 65);
	assert_int_equal(bs_stacks_caller(table, ev[3].code),
			 bs_stacks_get(table, ev[3].code)->codes[1]);
	/* Without a stack the caller is all there is. */
	assert_false(bs_is_stack(ev[4].code));
	assert_int_equal(ev[4].code, bs_stacks_caller(table, ev[3].code));
	assert_int_not_equal(ev[4].code, 0);
	assert_int_equal(ev[4].arg, 66);
	for (size_t i = 0; i < 5; i++)
		assert_int_equal(ev[i].stratum, i < 2 ? one : i == 2 ? two : three ^ 0x10);
	assert_int_equal(ev[5].kind, BSCOPE_KIND_DROP);
	assert_int_equal(ev[5].code, 0);
	assert_int_equal(d.stacked, 3);
	assert_int_equal(d.unstacked, 2);
	bs_decoder_fini(&d);
	bs_stacks_free(table);
}

/* Objects that are not followed any more, between events; at the end of what was handed over, too.
 */
static void slots_forgotten(void **state)
{
	uint32_t one = add_site(BSCOPE_KIND_DROP, 1, 0),
		 new = add_site(BSCOPE_KIND_NEW, 2, BSCOPE_SITE_SIZED);
	const struct bscope_slot v[] = {
		event_slot(TSC_START, new, 7),
		second_slot(64, 0),
		{(TSC_START + 2000) << BSCOPE_SLOT_TIME_SHIFT, 7},
		second_slot(new, 0),
		event_slot(TSC_START + 4000, one, 8),
		{(TSC_START + 6000) << BSCOPE_SLOT_TIME_SHIFT, 9},
		second_slot(one, 0),
		empty_slot,
	};
	uint64_t bad;

	(void)state;
	slots(v, 8, &bad);
	assert_int_equal(bad, 0);
	assert_int_equal(ngot, 4);
	assert_int_equal(got[1].type, BS_EVENT_FORGOTTEN);
	assert_int_equal(got[1].id, 7);
	assert_int_equal(got[1].kind, 0);
	assert_int_equal(got[1].klass_id, got[0].klass_id);
	assert_int_equal(got[1].place, got[0].place);
	assert_true(got[1].ts_ns > got[0].ts_ns && got[1].ts_ns < got[2].ts_ns);
	assert_int_equal(got[3].type, BS_EVENT_FORGOTTEN);
	assert_int_equal(got[3].id, 9);
	assert_int_equal(got[3].place, got[2].place);
}

/* Any slots: each is an event, counted as bad, or not an event; never read past their end. */
static void slots_random(void **state)
{
	uint64_t x = 0x2545f4914f6cdd1dull, bad = 0, good = 0, forgotten = 0;

	(void)state;
	for (unsigned kind = BSCOPE_KIND_NEW; kind < BSCOPE_KIND_END; kind++)
		add_site(kind, 1 + kind % 3, kind % 4);
	for (unsigned round = 0; round < 20000; round++) {
		struct bscope_slot v[64];
		uint64_t b;
		size_t n = round % 64, events = 0;

		for (size_t i = 0; i < n; i++) {
			x ^= x << 13;
			x ^= x >> 7;
			x ^= x << 17;
			v[i].value = x * 0x9e3779b97f4a7c15ull;
			v[i].head = round % 3 ? (x & ~0xfffffull) | (x >> 30) % 17 : x;
			if (v[i].head & BSCOPE_SLOT_EXTRA && round % 2)
				v[i].value %= 17;
		}
		for (size_t i = 0; i < n; i++) {
			if (v[i].head & BSCOPE_SLOT_EXTRA)
				continue;
			/* An empty slot is nothing without operands. */
			events += v[i].head & BSCOPE_SLOT_INDEX_MASK ||
				  (i + 1 < n && v[i + 1].head & BSCOPE_SLOT_EXTRA);
		}
		code_calls = 0;
		slots(v, n, &b);
		assert_int_equal(ngot + b, events);
		for (size_t i = 0; i < ngot; i++) {
			forgotten += got[i].type == BS_EVENT_FORGOTTEN;
			assert_true(got[i].type == BS_EVENT_MARK ||
				    got[i].type == BS_EVENT_FORGOTTEN);
			assert_true(got[i].place && got[i].klass_id);
			assert_in_range(got[i].kind, got[i].type == BS_EVENT_MARK,
					got[i].type == BS_EVENT_MARK ? BSCOPE_KIND_END - 1 : 0);
		}
		bad += b;
		good += ngot;
	}
	assert_true(bad > 10000 && good > 10000 && forgotten > 1000);
}

static int got_free(void **state)
{
	(void)state;
	free(got);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(marks_by_kind, reset),
		cmocka_unit_test_setup(operands_the_site_has_not, reset),
		cmocka_unit_test_setup(caller_without_resolver, reset),
		cmocka_unit_test_setup(life, reset),
		cmocka_unit_test_setup(refused, reset),
		cmocka_unit_test_setup(random_bytes, reset),
		cmocka_unit_test_setup(slots_by_kind, reset),
		cmocka_unit_test_setup(slots_caller_bits, reset),
		cmocka_unit_test_setup(slots_without_second, reset),
		cmocka_unit_test_setup(slots_orphans, reset),
		cmocka_unit_test_setup(slots_refused, reset),
		cmocka_unit_test_setup(slots_time, reset),
		cmocka_unit_test_setup(slots_forgotten, reset),
		cmocka_unit_test_setup(slots_with_stacks, reset),
		cmocka_unit_test_setup(slots_random, reset),
	};

	return cmocka_run_group_tests(tests, NULL, got_free);
}
