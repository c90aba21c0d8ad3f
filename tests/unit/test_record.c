/* SPDX-License-Identifier: GPL-2.0-only */
/* test_record.c - the record path of the runtime: every bit of the slots, over many laps. */
#define _GNU_SOURCE
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <bscope/bscope.h>

#if defined(__x86_64__)

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stdlib.h>
#include <sys/prctl.h>

#include <bscope/follow.h>

#include "record_check.h"

/* --- before anybody listens --------------------------------------------------------------------
 */

static void test_control_block(void **state)
{
	const struct bscope_control *c = bscope_control();
	uint64_t bytes = sizeof(struct bscope_pool) + c->buffers * sizeof(struct bscope_buffer);

	(void)state;
	assert_int_equal(c->abi, BSCOPE_CONTROL_ABI);
	assert_int_equal(c->size, sizeof(*c));
	assert_int_equal(c->semaphore, 0);
	assert_int_equal(c->started, 1);
	assert_int_not_equal(c->pool, 0);
	assert_true(c->buffers >= 16 && !(c->buffers & (c->buffers - 1)));
	assert_true(c->pool_bytes >= bytes);
	assert_int_equal(c->entries[0], (uintptr_t)bscope_record);
	assert_int_equal(c->entries[1], (uintptr_t)bscope_record2);
	assert_int_equal(c->entries[2], (uintptr_t)bscope_record3);
	assert_int_equal(c->pool % 16, 0);
}

/* Counted, and the pool is not touched: it is no memory yet. */
static void test_nobody_listening(void **state)
{
	unsigned char *resident = calloc(1, control()->pool_bytes / 4096 + 1);
	uint64_t before = control()->unrecorded;

	(void)state;
	assert_non_null(resident);
	for (uint64_t i = 1; i <= 1000; i++)
		record(event_of(i, 1 + i % 3));
	bscope_flush();
	assert_int_equal(control()->unrecorded, before + 1000);
	assert_int_equal(
		mincore((void *)(uintptr_t)control()->pool, control()->pool_bytes, resident), 0);
	for (uint64_t i = 0; i < control()->pool_bytes / 4096; i++)
		assert_int_equal(resident[i] & 1, 0);
	free(resident);
	assert_int_equal(pool()->used, 0);
	assert_int_equal(pool()->no_buffer, 0);
}

/* --- one thread --------------------------------------------------------------------------------
 */

static void test_first_event(void **state)
{
	uint64_t from = tsc(), before = control()->unrecorded;
	struct bscope_buffer *b;

	(void)state;
	listen_from_now(true);
	record(event_of(7, 1));
	b = mine();
	assert_non_null(b);
	assert_int_equal(b->next, FIRST + 1);
	assert_int_equal(b->extra, 0);
	assert_int_equal(b->tid, 0);
	check_event(b, FIRST, event_of(7, 1), from, tsc());
	assert_int_equal(control()->unrecorded, before);
	assert_int_equal(pool()->used, b - pool()->buffers + 1);
	/* Once there is a buffer it is written whether somebody listens or not. */
	listen_from_now(false);
	record(event_of(8, 1));
	assert_int_equal(b->next, FIRST + 2);
	assert_int_equal(control()->unrecorded, before);
	listen_from_now(true);
	/* Sending what there is changes nothing in it. */
	bscope_flush();
	assert_int_equal(b->next, FIRST + 2);
	assert_int_equal(b->extra, 0);
	assert_int_equal(b->owner, thread_pointer());
}

/* Operands with ones where the neighbours have zeros: none may run into another. */
static void test_bits(void **state)
{
	static const uint64_t words[] = {0, 1, 1ull << 63, UINT64_MAX, 0x5555555555555555ull};
	static const uint64_t codes[] = {0,
					 1,
					 TIME40,
					 TIME40 + 1,
					 1ull << 56,
					 (1ull << 57) - 1,
					 0x7fffffffffffull,
					 0xaaaaaaaaaaaaaaull};
	static const uint32_t indexes[] = {1, BSCOPE_SLOT_INDEX_MASK, 0x55555, 0xaaaaa};
	struct bscope_buffer *b = go_to(0);

	(void)state;
	for (size_t w = 0; w < ARRAY(words); w++)
		for (size_t c = 0; c < ARRAY(codes); c++)
			for (size_t i = 0; i < ARRAY(indexes); i++) {
				struct bscope_site site = {.index = BSCOPE_INDEX(indexes[i], 0, 0)};
				uint64_t pads, n = place(b->next, 3, &pads), from = tsc(), to;

				bscope_record3(&site, words[w], ~words[w], codes[c]);
				to = tsc();
				must(slot(b, n)->value == words[w]);
				must(slot(b, n + 1)->value == ~words[w]);
				must((slot(b, n)->head & 0xffffff) ==
				     (indexes[i] | (uint64_t)lap(n) << 21));
				must((((slot(b, n)->head >> 24) - from) & TIME40) <= to - from);
				must(slot(b, n + 1)->head ==
				     (codes[c] << 24 | (uint64_t)lap(n) << 21 | 1u << 20 |
				      codes[c] >> 40));
				must(b->next == n + 2);
			}
	/* What is wider than an address of code can be is cut, and hurts nothing else. */
	{
		struct bscope_site site = {.index = BSCOPE_INDEX(5, 0, 0)};
		uint64_t pads, n = place(b->next, 3, &pads);

		bscope_record3(&site, 1, 2, UINT64_MAX);
		must(slot(b, n + 1)->head == (TIME40 << 24 | (uint64_t)lap(n) << 21 | 0x1fffff));
	}
}

/* Millions of events of all kinds, each slot looked at. */
static void test_many_laps(void **state)
{
	static struct event log[600];
	struct bscope_buffer *b = go_to(0);
	uint64_t id = 0, events = 0, next = b->next, extra = b->extra;
	uint64_t next0 = next, extra0 = extra;

	(void)state;
	for (unsigned round = 0; round < 4000; round++) {
		size_t n = 1 + rng() % ARRAY(log);
		uint64_t from, to, singles = rng() % 4; /* rounds of one kind, and mixed ones */

		for (size_t i = 0; i < n; i++)
			log[i] = event_of(++id, singles == 1   ? 1
						: singles == 2 ? 2
							       : 1 + (unsigned)(rng() % 3));
		from = tsc();
		for (size_t i = 0; i < n; i++)
			record(log[i]);
		to = tsc();
		for (size_t i = 0; i < n; i++) {
			uint64_t pads, at = place(next, log[i].nargs, &pads);

			for (uint64_t p = next; p < at; p++)
				check_empty(b, p);
			check_event(b, at, log[i], from, to);
			extra += pads + (log[i].nargs > 1);
			next = at + (log[i].nargs > 1 ? 2 : 1);
		}
		events += n;
		must(b->next == next);
		must(b->extra == extra);
		must(b->next - next0 - (b->extra - extra0) == events);
	}
	assert_true(events > 1000000);
	assert_true((next - next0) / SLOTS > 100);
}

/* Numbers far beyond 32 bits, and the moment when those run over. */
static void test_large_numbers(void **state)
{
	static const uint64_t starts[] = {(1ull << 32) - 2 * SLOTS, 1ull << 40,
					  (1ull << 53) - SLOTS};
	struct bscope_buffer *b = go_to(0);

	(void)state;
	for (size_t s = 0; s < ARRAY(starts); s++) {
		b->next = starts[s];
		for (uint64_t i = 0; i < 5 * SLOTS; i++) {
			uint64_t from = tsc();

			record(event_of(i, 1));
			check_event(b, starts[s] + i, event_of(i, 1), from, tsc());
		}
		assert_int_equal(b->next, starts[s] + 5 * SLOTS);
	}
}

/* --- sites of this program, lit ----------------------------------------------------------------
 */

extern struct bscope_site __start_bscope_sites[], __stop_bscope_sites[];

static void patch(const struct bscope_site *site, const uint8_t bytes[5])
{
	uint8_t *sw = (uint8_t *)&site->probe + site->probe + 1;
	uintptr_t first = (uintptr_t)sw & ~(uintptr_t)4095;
	size_t len = (uintptr_t)sw + 5 - first;

	must(!mprotect((void *)first, len, PROT_READ | PROT_WRITE | PROT_EXEC));
	memcpy(sw, bytes, 5);
	must(!mprotect((void *)first, len, PROT_READ | PROT_EXEC));
}

static void light(struct bscope_site *site, uint32_t index)
{
	uint8_t jmp[5] = {0xe9};
	int32_t rel = (int32_t)(((const uint8_t *)&site->stub + site->stub) -
				((const uint8_t *)&site->probe + site->probe + 6));

	memcpy(jmp + 1, &rel, 4);
	site->index = BSCOPE_INDEX(index, 0, site->kind);
	patch(site, jmp);
}

static __attribute__((noinline)) void marks(uint64_t id, uint64_t other)
{
	BSCOPE_NEW(thing, id);
	BSCOPE_NEW_SIZED(thing, id + 1, 4096);
	BSCOPE_RESIZE_BEGIN(thing, id);
	BSCOPE_RESIZE_END(thing, id + 2, other);
	BSCOPE_MOVE(thing, id, &id);
	BSCOPE_BORROW(thing, id, other);
	BSCOPE_BORROW_MUT(thing, id, other + 1);
	BSCOPE_UNBORROW(thing, id, other);
	BSCOPE_RETAIN(thing, id);
	BSCOPE_RELEASE(thing, id);
	BSCOPE_USE(thing, other, id);
	BSCOPE_REGION_ENTER(thing, 0x123456789abcdef0);
	BSCOPE_REGION_EXIT(thing, -1);
	BSCOPE_DROP(thing, id);
	BSCOPE_SITE3(BSCOPE_KIND_NEW, "new", 3u, "thing", "three", id, other, 0x7f1234567890);
}

/* What the events of marks() say: operands as the site wrote them, the site by its index. */
static void check_marks(const struct bscope_buffer *b, uint64_t n, uint64_t id, uint64_t other)
{
	const struct {
		uint8_t kind, nargs;
		uint64_t value[2];
	} want[] = {
		{BSCOPE_KIND_NEW, 1, {id, 0}},
		{BSCOPE_KIND_NEW, 2, {id + 1, 4096}},
		{BSCOPE_KIND_RESIZE_BEGIN, 1, {id, 0}},
		{BSCOPE_KIND_RESIZE_END, 2, {id + 2, other}},
		{BSCOPE_KIND_MOVE, 2, {id, 0}},
		{BSCOPE_KIND_BORROW, 2, {id, other}},
		{BSCOPE_KIND_BORROW_MUT, 2, {id, other + 1}},
		{BSCOPE_KIND_UNBORROW, 2, {id, other}},
		{BSCOPE_KIND_RETAIN, 1, {id, 0}},
		{BSCOPE_KIND_RELEASE, 1, {id, 0}},
		{BSCOPE_KIND_USE, 2, {other, id}},
		{BSCOPE_KIND_REGION_ENTER, 1, {0x123456789abcdef0, 0}},
		{BSCOPE_KIND_REGION_EXIT, 1, {UINT64_MAX, 0}},
		{BSCOPE_KIND_DROP, 1, {id, 0}},
		{BSCOPE_KIND_NEW, 3, {id, other}},
	};

	for (size_t i = 0; i < ARRAY(want); i++) {
		uint64_t pads, head;
		const struct bscope_site *site;

		n = place(n, want[i].nargs, &pads);
		head = slot(b, n)->head;
		site = &__start_bscope_sites[(head & 0xfffff) - 100];
		must(site >= __start_bscope_sites && site < __stop_bscope_sites);
		must(site->kind == want[i].kind && site->nargs == want[i].nargs);
		must(slot(b, n)->value == want[i].value[0]);
		if (want[i].nargs > 1 && want[i].kind != BSCOPE_KIND_MOVE)
			must(slot(b, n + 1)->value == want[i].value[1]);
		if (want[i].nargs == 3)
			must(slot(b, n + 1)->head >> 24 == (0x7f1234567890 & TIME40) &&
			     (slot(b, n + 1)->head & 0xfffff) == 0x7f1234567890 >> 40);
		n += want[i].nargs > 1 ? 2 : 1;
	}
	must(b->next == n);
}

static void test_lit_sites(void **state)
{
	static const uint8_t nop[5] = {0x66, 0x0f, 0x1f, 0x44, 0};
	struct bscope_buffer *b = go_to(0);
	uint64_t before = b->next;

	(void)state;
	marks(1, 2);
	assert_int_equal(b->next, before);
	for (struct bscope_site *s = __start_bscope_sites; s < __stop_bscope_sites; s++)
		light(s, (uint32_t)(s - __start_bscope_sites) + 100);
	for (uint64_t i = 0; i < 3000; i++) {
		before = b->next;
		marks(i * 0x100000001ull, ~i);
		check_marks(b, before, i * 0x100000001ull, ~i);
	}
	for (struct bscope_site *s = __start_bscope_sites; s < __stop_bscope_sites; s++)
		patch(s, nop);
	before = b->next;
	marks(1, 2);
	assert_int_equal(b->next, before);
}

/* --- registers ---------------------------------------------------------------------------------
 */

/*
 * Around a call of an entry, as a stub makes it: all registers filled, the stack pointer any
 * multiple of 8, or of nothing.  The vector registers whole where there is AVX.
 */
struct machine {
	uint64_t reg[15]; /* rax rbx rcx rdx rsi rdi rbp r8-r15 */
	uint64_t pad;
	uint8_t vector[16][32];
};
struct machine before_call __attribute__((used, visibility("hidden"), aligned(64)));
struct machine after_call __attribute__((used, visibility("hidden"), aligned(64)));
uint64_t own_regs[16] __attribute__((used, visibility("hidden")));
uint64_t stack_below __attribute__((used, visibility("hidden")));
void (*entry_called)(void) __attribute__((used, visibility("hidden")));

#define REGS(op)                                                                                   \
	op(rax, 0) op(rbx, 8) op(rcx, 16) op(rdx, 24) op(rsi, 32) op(rdi, 40) op(rbp, 48)          \
		op(r8, 56) op(r9, 64) op(r10, 72) op(r11, 80) op(r12, 88) op(r13, 96) op(r14, 104) \
			op(r15, 112)
#define VECTORS(op)                                                                               \
	op(0, 0) op(1, 32) op(2, 64) op(3, 96) op(4, 128) op(5, 160) op(6, 192) op(7, 224)        \
		op(8, 256) op(9, 288) op(10, 320) op(11, 352) op(12, 384) op(13, 416) op(14, 448) \
			op(15, 480)
#define KEEP(r, o)   "mov %%" #r ",own_regs+" #o "(%%rip)\n"
#define BACK(r, o)   "mov own_regs+" #o "(%%rip),%%" #r "\n"
#define LOAD(r, o)   "mov before_call+" #o "(%%rip),%%" #r "\n"
#define STORE(r, o)  "mov %%" #r ",after_call+" #o "(%%rip)\n"
#define YLOAD(n, o)  "vmovdqu before_call+128+" #o "(%%rip),%%ymm" #n "\n"
#define YSTORE(n, o) "vmovdqu %%ymm" #n ",after_call+128+" #o "(%%rip)\n"
#define XLOAD(n, o)  "movdqu before_call+128+" #o "(%%rip),%%xmm" #n "\n"
#define XSTORE(n, o) "movdqu %%xmm" #n ",after_call+128+" #o "(%%rip)\n"
#define CALL_WITH(load, store)                                                                    \
	__asm__ __volatile__(                                                                     \
		REGS(KEEP) "mov %%rsp,own_regs+120(%%rip)\n"                                      \
			   "lea -512(%%rsp),%%rsp\nand $-16,%%rsp\n"                              \
			   "sub stack_below(%%rip),%%rsp\n" REGS(LOAD) VECTORS(                   \
				   load) "call *entry_called(%%rip)\n" REGS(STORE)                \
				   VECTORS(store) "mov own_regs+120(%%rip),%%rsp\n" REGS(BACK)    \
		:                                                                                 \
		:                                                                                 \
		: "memory", "cc", "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", \
		  "xmm8", "xmm9", "xmm10", "xmm11", "xmm12", "xmm13", "xmm14", "xmm15")

static __attribute__((noinline)) void call_sse(void)
{
	CALL_WITH(XLOAD, XSTORE);
}

static __attribute__((noinline, target("avx"))) void call_avx(void)
{
	CALL_WITH(YLOAD, YSTORE);
	__asm__ __volatile__("vzeroupper");
}

/* Calls the entry of a site with everything filled, and compares; bytes: its second operand. */
static void call_site(const struct bscope_site *site, uint64_t id, uint64_t bytes, uint64_t below)
{
	unsigned nargs = site->nargs;
	bool avx = __builtin_cpu_supports("avx");
	/* Only the registers of its own arguments may change: rdi, rsi, rdx, rcx. */
	static const int args[4] = {5, 4, 3, 2};

	for (size_t i = 0; i < sizeof(before_call); i++)
		((uint8_t *)&before_call)[i] = (uint8_t)(i * 41 + (i >> 8) + 3 + below);
	memset(&after_call, 0, sizeof(after_call));
	before_call.reg[5] = (uintptr_t)site;
	before_call.reg[4] = id;
	before_call.reg[3] = bytes;
	entry_called = nargs == 1   ? (void (*)(void))bscope_record
		       : nargs == 2 ? (void (*)(void))bscope_record2
				    : (void (*)(void))bscope_record3;
	stack_below = below;
	if (avx)
		call_avx();
	else
		call_sse();
	for (unsigned a = 0; a <= nargs; a++)
		after_call.reg[args[a]] = before_call.reg[args[a]];
	must(!memcmp(after_call.reg, before_call.reg, sizeof(before_call.reg)));
	for (unsigned v = 0; v < 16; v++)
		must(!memcmp(after_call.vector[v], before_call.vector[v], avx ? 32 : 16));
}

static void call_checked(unsigned nargs, uint64_t below)
{
	struct bscope_site site = {.index = BSCOPE_INDEX(77, 0, 0), .nargs = (uint8_t)nargs};

	call_site(&site, 0x0123456789abcdefull * (nargs + 1), 0xfedcba9876543210ull, below);
}

static void test_registers(void **state)
{
	static const uint64_t offsets[] = {0, 8, 1, 15};
	struct bscope_buffer *b = go_to(0);
	uint64_t unrecorded = control()->unrecorded, next;

	(void)state;
	for (unsigned nargs = 1; nargs <= 3; nargs++)
		for (size_t o = 0; o < ARRAY(offsets); o++) {
			/* Every place of a half: the ways at its end, too. */
			for (uint64_t i = 0; i < 2 * BATCH; i++)
				call_checked(nargs, offsets[o]);
			/* The last slot of a half; a pair that has no room left. */
			go_to(BATCH - 1);
			call_checked(nargs, offsets[o]);
			next = b->next;
			/* Renewed; */
			b->owner |= BSCOPE_OWNER_RENEW;
			call_checked(nargs, offsets[o]);
			must(b->owner == thread_pointer());
			must(b->next >= next + 1);
			/* without a buffer and a listener; */
			b->owner = 0;
			listen_from_now(false);
			call_checked(nargs, offsets[o]);
			must(control()->unrecorded == ++unrecorded);
			/* first use; */
			listen_from_now(true);
			call_checked(nargs, offsets[o]);
			b = mine();
			must(b);
			/* all taken: the search, and the way past it. */
			for (uint64_t i = 0; i < control()->buffers; i++)
				if (!pool()->buffers[i].owner)
					pool()->buffers[i].owner = 0x1000;
			b->owner = 0x2000;
			pool()->full_at = 0;
			next = pool()->no_buffer;
			call_checked(nargs, offsets[o]);
			call_checked(nargs, offsets[o]);
			must(pool()->no_buffer == next + 2);
			for (uint64_t i = 0; i < control()->buffers; i++)
				if (pool()->buffers[i].owner == 0x1000)
					pool()->buffers[i].owner = 0;
			pool()->full_at = 0;
			b->owner = thread_pointer();
		}
	assert_int_equal(control()->unrecorded, unrecorded);
}

static void test_registers_coarse(void **state)
{
	control()->follow = BSCOPE_STAMP_COARSE;
	test_registers(state);
	/* And with the table, in which its object is followed or not. */
	for (int all = 0; all < 2; all++) {
		struct bscope_buffer *b = go_to(0);

		control()->follow_gap = all ? 0 : 1ull << 62;
		control()->follow_epoch++;
		control()->follow = BSCOPE_FOLLOW_CHOSEN | BSCOPE_STAMP_COARSE;
		for (unsigned nargs = 1; nargs <= 3; nargs++)
			for (uint64_t i = 0; i < 100; i++)
				call_checked(nargs, 8);
		control()->follow = 0;
		(void)b;
	}
}

/* --- coarse stamps -----------------------------------------------------------------------------
 */

/* The time of an event, and of the stamp that it should have. */
static uint64_t time_of(const struct bscope_buffer *b, uint64_t number)
{
	return slot(b, number)->head >> BSCOPE_SLOT_TIME_SHIFT;
}

static uint64_t stamp_of(const struct bscope_buffer *b)
{
	return (uint64_t)b->coarse << 8;
}

static bool between(uint64_t stamp, uint64_t from, uint64_t to)
{
	/* It is cut to 256 ticks. */
	return ((stamp + 256 - from) & TIME40) <= ((to + 256 - from) & TIME40);
}

static void test_coarse(void **state)
{
	uint64_t from = tsc(), n, stamp, events = 0;
	struct bscope_buffer *b;

	(void)state;
	control()->follow = BSCOPE_STAMP_COARSE;
	/* The thread's first event, in a buffer that it takes for that. */
	record(event_of(1, 1));
	b = mine();
	must(b->next == FIRST + 1);
	must(between(time_of(b, FIRST), from, tsc()));
	stamp = stamp_of(b);
	must(time_of(b, FIRST) == stamp);
	/* All up to the end of the half alike, by one slot or two; then a new one. */
	for (uint64_t i = 2; i < 20 * SLOTS; i++) {
		uint64_t pads, half = b->next / BATCH, now = tsc();

		n = place(b->next, 1 + i % 3, &pads);
		record(event_of(i, 1 + i % 3));
		events++;
		check_event(b, n, event_of(i, 1 + i % 3), time_of(b, n), time_of(b, n));
		/* What does not fit begins the next half, and has its stamp. */
		if (n / BATCH != half)
			stamp = stamp_of(b);
		must(time_of(b, n) == stamp);
		if (b->next / BATCH != half) {
			must(between(stamp_of(b), pads ? from : now, tsc()));
			stamp = stamp_of(b);
		}
	}
	/* A stamp from outside. */
	for (uint64_t i = 0; i < 100; i++) {
		b->coarse = (uint32_t)rng();
		stamp = stamp_of(b);
		n = place(b->next, 1, &(uint64_t){0});
		record(event_of(i, 1));
		must(time_of(b, n) == stamp);
	}
	/* As many as with precise ones, and those are precise again at once. */
	n = b->next - b->extra;
	for (uint64_t i = 0; i < 3 * SLOTS; i++)
		record(event_of(i, 1 + i % 3));
	must(b->next - b->extra - n == 3 * SLOTS);
	control()->follow = 0;
	n = b->next - b->extra;
	for (uint64_t i = 0; i < 3 * SLOTS; i++)
		record(event_of(i, 1 + i % 3));
	must(b->next - b->extra - n == 3 * SLOTS);
	go_to(0);
	from = tsc();
	n = b->next;
	record(event_of(3, 1));
	check_event(b, n, event_of(3, 1), from, tsc());
	must(events);
}

/* The same lives, with sampling: all are followed, or none, and the stamps are coarse. */
static void test_coarse_sampled(void **state)
{
	struct bscope_site born = {
		.index = BSCOPE_INDEX(5, 1, BSCOPE_KIND_NEW), .kind = BSCOPE_KIND_NEW, .nargs = 1};
	struct bscope_site dropped = {.index = BSCOPE_INDEX(6, 1, BSCOPE_KIND_DROP),
				      .kind = BSCOPE_KIND_DROP,
				      .nargs = 1};
	struct bscope_buffer *b = go_to(0);

	(void)state;
	must(control()->table);
	for (int all = 0; all < 2; all++) {
		uint64_t before;

		control()->follow_gap = all ? 0 : 1ull << 62;
		control()->follow_epoch++;
		control()->follow = BSCOPE_FOLLOW_CHOSEN | BSCOPE_STAMP_COARSE;
		before = b->next - b->extra;
		for (uint64_t i = 0; i < 5000; i++) {
			uint64_t n = b->next, stamp = stamp_of(b);

			bscope_record(&born, 16 * (i % 100));
			if (all)
				must(time_of(b, n) == stamp);
			bscope_record(&dropped, 16 * (i % 100));
		}
		must(b->next - b->extra - before == (all ? 10000 : 0));
		control()->follow = 0;
	}
}

/* With sampling: every kind, of objects that are followed and that are not, by all ways. */
static void test_registers_sampled(void **state)
{
	static const uint64_t gaps[] = {0, 1 << 16, 1ull << 60};
	static const uint64_t ids[] = {0, 64, 1ull << 63, UINT64_MAX};
	static const uint64_t sizes[] = {0, 1, 4096, 1ull << 46, UINT64_MAX};
	struct bscope_buffer *b = go_to(0);
	uint64_t next = b->next, marks = 0;

	(void)state;
	control()->follow = 1;
	for (unsigned n = 0; n < 60000; n++) {
		unsigned kind = 1 + n % (BSCOPE_KIND_END - 1), nargs = 1 + (unsigned)(rng() % 3);
		struct bscope_site site = {.kind = (uint8_t)kind,
					   .nargs = (uint8_t)nargs,
					   .index = BSCOPE_INDEX(n + 1, rng() % 3, kind)};

		if (n % 500 == 0) {
			control()->follow_gap = gaps[rng() % ARRAY(gaps)];
			control()->follow_flags = rng() % 2 ? BSCOPE_FOLLOW_BYTES : 0;
			control()->follow_epoch++;
		}
		call_site(&site, ids[rng() % ARRAY(ids)], sizes[rng() % ARRAY(sizes)],
			  n / 500 % 2 * 8);
		marks++;
	}
	/* Some were recorded, some were not. */
	must(b->next - next > marks / 4 && b->next - next - b->extra < marks);
	control()->follow = 0;
}

/* --- no system call ----------------------------------------------------------------------------
 */

/* A filter, not the strict mode: that forbids the time stamp counter as well. */
static void with_filter(void)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_exit_group, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
	};
	const struct sock_fprog filter = {ARRAY(code), code};

	must(!prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
	must(!prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter));
	for (uint64_t i = 1; i <= 100000; i++)
		record(event_of(i, 1 + i % 3));
	bscope_flush();
	syscall(SYS_exit_group, mine()->next - FIRST - mine()->extra == 100000 ? 0 : 1);
}

static void test_no_system_call(void **state)
{
	(void)state;
	in_child(BY_FORK, with_filter);
}

int main(void)
{
	/* The first need a library that nobody has used yet. */
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_control_block),
		cmocka_unit_test(test_nobody_listening),
		cmocka_unit_test(test_first_event),
		cmocka_unit_test_setup(test_bits, wipe),
		cmocka_unit_test_setup(test_many_laps, wipe),
		cmocka_unit_test_setup(test_large_numbers, wipe),
		cmocka_unit_test_setup(test_lit_sites, wipe),
		cmocka_unit_test_setup(test_registers, wipe),
		cmocka_unit_test_setup(test_registers_coarse, wipe),
		cmocka_unit_test_setup(test_coarse, wipe),
		cmocka_unit_test_setup(test_coarse_sampled, wipe),
		cmocka_unit_test_setup(test_registers_sampled, wipe),
		cmocka_unit_test_setup(test_no_system_call, wipe),
	};

	test_pid = getpid();
	return cmocka_run_group_tests(tests, NULL, NULL);
}

#else
#include "no_entries.h"
#endif
