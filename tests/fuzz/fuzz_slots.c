// SPDX-License-Identifier: GPL-2.0-only
/*
 * fuzz_slots.c - a program that writes what it likes into its buffers, and records of the ring that
 * say what they like: steps of one byte and their operands, taken from the input.  What comes out
 * is put in order and decoded.
 *
 * The program is the harness itself, whose memory the reader reads as anybody's.
 */
#define _GNU_SOURCE
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "bpf/event.h"
#include "bscope/abi.h"
#include "bscope/buffer.h"
#include "collect/buffers.h"
#include "decode/decode.h"
#include "decode/stacks.h"
#include "decode/tsc.h"
#include "order/order.h"
#include "target/module.h"
#include "target/sites.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define NBUFFERS   3u
#define POOL_BYTES (sizeof(struct bscope_pool) + NBUFFERS * sizeof(struct bscope_buffer))
/* What believes a lie about the number of buffers must not write into the harness. */
#define GUARD	  (1u << 20)
#define TSC	  (1ull << 42)
#define STEPS_MAX 400

static void must(int truth)
{
	if (!truth)
		abort();
}

/* --- the input ---------------------------------------------------------------------------------
 */

static const uint8_t *in;
static size_t left;

/* Little endian; what the input has not is 0. */
static uint64_t number(size_t bytes)
{
	uint64_t v = 0;

	if (bytes > left)
		bytes = left;
	memcpy(&v, in, bytes);
	in += bytes;
	left -= bytes;
	return v;
}

/* --- what comes out ----------------------------------------------------------------------------
 */

static struct bs_decoder decoder;
static struct bs_stacks *stacks; /* wanted for inputs of an odd size */
static struct bs_buffers *reader;
static struct bs_order *order;
static struct bs_tsc tsc;
static uint64_t passed, decoded;

static int piece(void *ctx, const struct bs_slots *slots)
{
	struct bs_event v[64];
	size_t n;

	must(ctx == &decoder && slots->n <= 64);
	n = bs_decode_slots(ctx, slots, v);
	must(n && n <= slots->n);
	for (size_t i = 0; i < n; i++) {
		must(v[i].type == BS_EVENT_FORGOTTEN ||
		     (v[i].type == BS_EVENT_MARK && v[i].kind >= BSCOPE_KIND_NEW &&
		      v[i].kind < BSCOPE_KIND_END));
		must(v[i].place && v[i].place <= bs_places_count(decoder.sites));
	}
	decoded += n;
	return 0;
}

static int take(void *ctx, uint32_t pid, uint32_t tid, uint32_t buffer,
		const struct bscope_slot *slots, size_t n)
{
	static struct bscope_slot room[2 * BSCOPE_BUFFER_SLOTS];
	const struct bs_order_ops ops = {NULL, piece, &decoder};
	uint64_t before = decoder.bad + decoded, n_events = 0, n_forgotten = 0;
	struct bs_slots prepared;
	size_t good;

	(void)buffer;
	must(ctx == &decoder && n && n <= BSCOPE_BUFFER_SLOTS);
	for (size_t i = 0; i < n; i++) {
		must(slots[i].head != 0);
		if (slots[i].head & BSCOPE_SLOT_EXTRA)
			continue;
		if (slots[i].head & BSCOPE_SLOT_INDEX_MASK)
			n_events++;
		else
			n_forgotten += i + 1 < n && slots[i + 1].head & BSCOPE_SLOT_EXTRA;
	}
	good = bs_decode_prepare(&decoder, pid, tid, slots, bs_buffers_stacks(reader), n, &tsc,
				 TSC + 1000, room, &prepared);
	must(!bs_order_push_slots(order, &prepared, good));
	must(!bs_order_release(order, UINT64_MAX, &ops));
	must(decoder.bad + decoded - before == n_events + n_forgotten);
	passed += n_events;
	return 0;
}

static uint32_t owner(void *ctx, uint32_t pid, uint64_t buffer)
{
	(void)pid;
	must(ctx == &decoder);
	return buffer >> 16 & 1 ? (uint32_t)getpid() : 0;
}

/* A site of each kind, with one to three operands. */
static struct bs_sites *sites_make(void)
{
	static struct bs_site site[39];
	static struct bs_module module = {.path = (char *)(uintptr_t) "fuzz", .fd = -1};
	struct bs_sites *sites = bs_sites_new();
	uint32_t first, n;

	for (size_t i = 0; i < 39; i++)
		site[i] = (struct bs_site){.probe_vaddr = 16 * i + 16,
					   .klass = "k",
					   .name = "n",
					   .file = "f",
					   .line = (uint32_t)i,
					   .kind = (uint8_t)(1 + i / 3),
					   .nargs = (uint8_t)(1 + i % 3),
					   .flags = i % 4};
	module.sites = site;
	module.nsites = 39;
	must(sites && !bs_sites_add(sites, &module, NULL, &first, &n));
	return sites;
}

/* --- the program, and the ring -----------------------------------------------------------------
 */

static struct bscope_pool *pool;

static void memory_write(void)
{
	uint64_t at = number(3) % POOL_BYTES, n = number(1);
	uint8_t *to = (uint8_t *)pool + at;

	for (uint64_t i = 0; i < n && at + i < POOL_BYTES; i++)
		to[i] = (uint8_t)number(1);
}

static void head_write(void)
{
	struct bscope_buffer *b = &pool->buffers[number(1) % NBUFFERS];
	uint64_t *const member[] = {&b->owner, &b->next, &b->extra, &b->tid};

	*member[number(1) % 4] = number(8);
}

/* So many slots behind `next`, committed, as a thread that does it right. */
static void events_write(void)
{
	struct bscope_buffer *b = &pool->buffers[number(1) % NBUFFERS];
	uint64_t n = number(2) % (3 * BSCOPE_BUFFER_SLOTS), head = number(8);

	for (uint64_t i = 0; i < n; i++, b->next++)
		b->slots[b->next % BSCOPE_BUFFER_SLOTS] = (struct bscope_slot){
			((head + i) & ~(uint64_t)BSCOPE_SLOT_LAP_MASK) | BSCOPE_SLOT_LAP(b->next),
			i};
}

static void record(struct bs_buffers *buffers)
{
	static struct bs_ring_batch batch;
	const struct bscope_buffer *b = &pool->buffers[number(1) % (NBUFFERS + 1)];
	uint64_t how = number(1), size = sizeof(batch), n;
	void *exact;

	batch.pid = (uint32_t)getpid() + (how & 1 ? 1 : 0);
	batch.tid = (uint32_t)number(4);
	batch.type = how & 2 ? BS_RING_BATCH : (uint32_t)number(1);
	batch.flags = (uint32_t)number(1);
	batch.buffer = (uintptr_t)b + (how & 4 ? number(8) : 0);
	batch.end = number(8);
	batch.next = number(8);
	batch.extra = number(8);
	if (how & 8 && b < &pool->buffers[NBUFFERS]) {
		/* As the kernel's programs find it. */
		batch.owner = b->owner;
		batch.next = b->next;
		batch.extra = b->extra;
		if (how & 16)
			batch.end = b->next;
		memcpy(batch.slots,
		       &b->slots[(batch.end - 1) % BSCOPE_BUFFER_SLOTS / BSCOPE_BATCH_SLOTS *
				 BSCOPE_BATCH_SLOTS],
		       sizeof(batch.slots));
	}
	for (n = number(1) % 32; n; n--)
		batch.slots[number(2) % BSCOPE_BATCH_SLOTS] =
			(struct bscope_slot){number(8), number(2)};
	if (how & 32)
		size = number(2);
	if (size > sizeof(batch))
		size = sizeof(batch);
	/* No room behind the last byte. */
	exact = malloc(size ? size : 1);
	must(exact != NULL);
	memcpy(exact, &batch, size);
	must(!bs_buffers_record(buffers, exact, size));
	free(exact);
}

static void look(struct bs_buffers *buffers, int last)
{
	uint64_t at, hold = UINT64_MAX;
	size_t waiting;

	must(!bs_buffers_read(buffers, last || left % 2, &at));
	/* What comes by the ring meanwhile. */
	for (uint64_t n = number(1) % 4; n && !last; n--)
		record(buffers);
	must(!bs_buffers_take(buffers, last, TSC, &hold, &waiting));
	/* Or something could not be read, and is as it was at an earlier look. */
	must(waiting || hold == UINT64_MAX || hold < at);
}

/* The stack of a slot that may come. */
static void stack(struct bs_buffers *buffers)
{
	static const uint32_t codes[] = {1, 2, 3};
	const struct bscope_buffer *b = &pool->buffers[number(1) % (NBUFFERS + 1)];
	uint64_t slot = b < &pool->buffers[NBUFFERS] ? b->next + number(1) : number(8);

	must(!bs_buffers_stack(buffers, (uint32_t)getpid() + number(1) % 2,
			       (uintptr_t)b + number(1) % 2, slot,
			       bs_stacks_intern(stacks, 0, codes, 1 + number(1) % 3, 0)));
}

#define STACK_STEP 240 /* and above */

static void step(struct bs_buffers *buffers)
{
	uint64_t what = number(1);

	if (what >= STACK_STEP) {
		stack(buffers);
		return;
	}
	switch (what % 8) {
	case 0:
		memory_write();
		break;
	case 1:
		head_write();
		break;
	case 2:
		events_write();
		break;
	case 3:
		record(buffers);
		break;
	case 4:
		look(buffers, 0);
		break;
	case 5:
		bs_buffers_settle(buffers);
		break;
	case 6:
		pool->used = (uint32_t)number(4);
		pool->no_buffer = number(8);
		break;
	case 7:
		must(!bs_buffers_gone(buffers, getpid()));
		must(!bs_buffers_add(buffers, getpid(), (uintptr_t)pool, NBUFFERS));
		break;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct bs_buffers_ops ops = {.take = take, .owner = owner, .ctx = &decoder};
	struct bs_buffers_counts counts;
	struct bs_buffers *buffers;

	if (!pool) {
		pool = mmap(NULL, POOL_BYTES + GUARD, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
			    0);
		must(pool != MAP_FAILED);
		must(!mprotect(pool, (POOL_BYTES + 4095) & ~4095ul, PROT_READ | PROT_WRITE));
		decoder.sites = sites_make();
		order = bs_order_new(0);
		stacks = bs_stacks_new();
		must(order != NULL && stacks != NULL);
		bs_tsc_add(&tsc, TSC - 2000000000, 1ull << 40);
		bs_tsc_add(&tsc, TSC, (1ull << 40) + 1000000000);
	}
	memset(pool, 0, POOL_BYTES);
	pool->used = NBUFFERS;
	decoder.bad = passed = decoded = 0;
	decoder.stacks = size % 2 ? stacks : NULL;
	decoder.stack_kinds = UINT32_MAX;
	in = data;
	left = size;
	reader = buffers = bs_buffers_new(&ops);
	must(buffers != NULL);
	must(!bs_buffers_add(buffers, getpid(), (uintptr_t)pool, NBUFFERS));
	for (unsigned steps = 0; left && steps < STEPS_MAX; steps++)
		step(buffers);
	look(buffers, 1);
	bs_buffers_counts(buffers, &counts);
	must(counts.received == passed);
	bs_buffers_free(buffers);
	return 0;
}
