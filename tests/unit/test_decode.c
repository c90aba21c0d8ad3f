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
#include "decode/decode.h"
#include "target/module.h"
#include "target/sites.h"

/* A table of our own in place of tools/target's: one site per index, place = index + 100. */
#define NSITES 64
static struct bs_site site[NSITES];
static struct bs_place place[NSITES];
static struct bs_expansion expansion[NSITES];
static uint32_t nsites;

const struct bs_expansion *bs_sites_get(const struct bs_sites *s, uint32_t index)
{
	(void)s;
	return index && index < nsites ? &expansion[index] : NULL;
}

const struct bs_place *bs_places_get(const struct bs_sites *s, uint32_t n)
{
	(void)s;
	return n > 100 && n - 100 < nsites ? &place[n - 100] : NULL;
}

static uint32_t add_site(unsigned kind, unsigned nargs, unsigned flags)
{
	uint32_t i = nsites++;

	site[i] = (struct bs_site){
		.kind = (uint8_t)kind, .nargs = (uint8_t)nargs, .flags = (uint8_t)flags};
	place[i] = (struct bs_place){
		.klass_id = i + 7, .kind = (uint8_t)kind, .flags = (uint8_t)flags};
	expansion[i] = (struct bs_expansion){.site = &site[i], .place = i + 100, .chosen = true};
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
		{BSCOPE_KIND_RESIZE_BEGIN, 1, 0, 0},
		{BSCOPE_KIND_RESIZE_END, 2, BSCOPE_SITE_SIZED, BS_EVENT_HAS_BYTES},
		{BSCOPE_KIND_RESIZE_END, 2, 0, BS_EVENT_HAS_BYTES},
		{BSCOPE_KIND_RESIZE_END, 3, BSCOPE_SITE_SIZED | BSCOPE_SITE_CALLER,
		 BS_EVENT_HAS_BYTES | BS_EVENT_HAS_CALLER},
		{BSCOPE_KIND_MOVE, 2, 0, BS_EVENT_HAS_OTHER},
		{BSCOPE_KIND_BORROW, 2, 0, BS_EVENT_HAS_OTHER},
		{BSCOPE_KIND_BORROW_MUT, 2, 0, BS_EVENT_HAS_OTHER},
		{BSCOPE_KIND_UNBORROW, 2, 0, BS_EVENT_HAS_OTHER},
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
		assert_int_equal(ev.arg, want[i].has & (BS_EVENT_HAS_BYTES | BS_EVENT_HAS_OTHER)
						 ? 0x1122334455667788ull
						 : 0);
		assert_int_equal(ev.code, caller ? 0x4711 : 0);
		assert_int_equal(code_calls, caller);
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
}

static void life(void **state)
{
	struct bs_ring_event rec = record(BS_RING_FORK, 0);
	struct bs_event ev;

	(void)state;
	rec.args[0] = 4711;
	assert_int_equal(decode(&rec, &ev), 0);
	assert_int_equal(ev.type, BS_EVENT_FORK);
	assert_int_equal(ev.arg, 4711);
	assert_int_equal(ev.kind, 0);
	assert_int_equal(ev.place, 0);
	assert_int_equal(ev.klass_id, 0);
	assert_int_equal(ev.has, 0);

	rec.args[0] = 0;
	assert_int_equal(decode(&rec, &ev), -EBADMSG);
	rec.args[0] = 0x80000000ull;
	assert_int_equal(decode(&rec, &ev), -EBADMSG);

	rec = record(BS_RING_EXEC, 0);
	assert_int_equal(decode(&rec, &ev), 0);
	assert_int_equal(ev.type, BS_EVENT_EXEC);

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
	expansion[homeless].place = 99;

	assert_int_equal(bs_decode(&d, &rec, sizeof(rec), &ev), 0);
	for (size_t size = 0; size < 200; size++) {
		char buf[200] = {0};

		memcpy(buf, &rec, sizeof(rec));
		if (size != sizeof(rec))
			assert_int_equal(bs_decode(&d, buf, size, &ev), -EBADMSG);
	}
	assert_int_equal(d.bad, 199);

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
		assert_int_equal(decode(&rec, &ev), type >= 1 && type <= 4 ? 0 : -EBADMSG);
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
			assert_in_range(ev.type, BS_EVENT_MARK, BS_EVENT_EXIT);
			assert_in_range(ev.kind, 0, BSCOPE_KIND_END - 1);
			assert_int_equal(!ev.place, ev.type != BS_EVENT_MARK);
		}
		free(buf);
	}
	assert_int_equal(good + d.bad, 100000);
	assert_true(good > 10000);
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
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
