/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * follow_check.h - for tests of sampling by object in the runtime: the test is the tool, which says
 * what to follow, and the reader of what the marks left in the buffer of their thread.
 */
#ifndef FOLLOW_CHECK_H
#define FOLLOW_CHECK_H

#include "record_check.h"

#include <bscope/follow.h>

#include "base/sample.h"

/* entries.c calls it where it does not decide by itself; the test calls it for all marks. */
void bs_sampled(const struct bscope_site *site, uint64_t id, uint64_t a1, uint64_t a2);

static struct bscope_follow *table(void)
{
	return (struct bscope_follow *)(uintptr_t)control()->table;
}

/* Not 0 as a tool's, but 0: all objects. */
static void follow_sample(struct bs_sample sample)
{
	control()->follow_gap = bs_sample_gap(&sample);
	control()->follow_base = bs_sample_base(&sample);
	control()->follow_block = bs_sample_block(&sample);
	control()->follow_flags = bs_sample_flags(&sample);
	control()->follow_epoch++;
	control()->follow = sample.by != BS_SAMPLE_NOT;
}

static void follow(enum bs_sample_by by, double mean)
{
	follow_sample((struct bs_sample){by, mean, mean});
}

static int unfollow(void **state)
{
	(void)state;
	follow(BS_SAMPLE_NOT, 1);
	return 0;
}

/* --- the table, as include/bscope/follow.h has it, written down once more ----------------------
 */

static uint64_t hash_of(uint32_t klass, uint64_t id)
{
	return (id ^ (uint64_t)(klass & 2047) << 53) * 0x9e3779b97f4a7c15ull;
}

enum { ABSENT, DEAD, ALIVE };

static int state_of(uint32_t klass, uint64_t id)
{
	uint64_t hash = hash_of(klass, id);
	int found = ABSENT;

	for (unsigned i = 0; i < 8; i++) {
		uint64_t is = table()->keys[hash >> 50][i];

		if ((is & ~1ull) != ((hash & ~1ull) | 2))
			continue;
		must(found == ABSENT); /* once at most */
		found = is & 1 ? DEAD : ALIVE;
	}
	return found;
}

/* Each counter is what there is, or full; exact: where nobody was interrupted for good. */
static void check_filter(bool exact)
{
	static unsigned n[1 << 17];
	const struct bscope_follow *t = table();

	memset(n, 0, sizeof(n));
	for (unsigned b = 0; b < 1 << 14; b++)
		for (unsigned i = 0; i < 8; i++) {
			must(!t->keys[b][i] || t->keys[b][i] >> 50 == b);
			if (t->keys[b][i])
				n[t->keys[b][i] >> 47]++;
		}
	for (unsigned i = 0; i < 1 << 17; i++) {
		must(t->filter[i] == 255 || t->filter[i] >= n[i]);
		must(!exact || t->filter[i] == 255 || t->filter[i] == n[i]);
	}
}

/* The id of class 0 with this hash: the factor is odd, and has an inverse (Newton). */
static uint64_t id_of_hash(uint64_t hash)
{
	uint64_t inverse = 0x9e3779b97f4a7c15ull;

	for (int i = 0; i < 6; i++)
		inverse *= 2 - 0x9e3779b97f4a7c15ull * inverse;
	return hash * inverse;
}

/* --- marks -------------------------------------------------------------------------------------
 */

static unsigned nargs_of(unsigned kind, unsigned variant)
{
	switch (kind) {
	case BSCOPE_KIND_NEW:
		return 1 + variant % 3;
	case BSCOPE_KIND_RESIZE_END:
		return 2 + variant % 2;
	case BSCOPE_KIND_MOVE:
	case BSCOPE_KIND_BORROW:
	case BSCOPE_KIND_BORROW_MUT:
	case BSCOPE_KIND_UNBORROW:
	case BSCOPE_KIND_USE:
		return 2;
	default:
		return 1;
	}
}

/* Each kind, class and number of operands has a number. */
static struct bscope_site site_of(unsigned kind, uint32_t klass, unsigned nargs)
{
	return (struct bscope_site){
		.kind = (uint8_t)kind,
		.nargs = (uint8_t)nargs,
		.index = BSCOPE_INDEX(kind * 64 + nargs * 16 + klass % 16, klass, kind),
	};
}

/*
 * As a stub calls it, with what the program has in the registers of operands that the site has not.
 */
__attribute__((no_sanitize("thread", "undefined"))) static void
mark(const struct bscope_site *site, uint64_t id, uint64_t a1, uint64_t a2)
{
	typedef void (*entry)(const struct bscope_site *, uint64_t, uint64_t, uint64_t);
	uintptr_t by_nargs = site->nargs == 1	? (uintptr_t)bscope_record
			     : site->nargs == 2 ? (uintptr_t)bscope_record2
						: (uintptr_t)bscope_record3;

	((entry)by_nargs)(site, id, a1, a2);
}

/* What a mark left: itself, that its object is forgotten, both or nothing. */
struct left {
	bool marked, forgotten;
};

/* Of slots from..to-1: exactly what this mark must leave, or nothing, each once. */
static struct left left_by(const struct bscope_buffer *b, uint64_t from, uint64_t to,
			   const struct bscope_site *site, uint64_t id, uint64_t a1, uint64_t a2)
{
	struct left left = {false, false};

	for (uint64_t n = from; n < to; n++) {
		uint64_t head = slot(b, n)->head, extra = n + 1 < to ? slot(b, n + 1)->head : 0;

		must(is_committed(b, n) && !(head & BSCOPE_SLOT_EXTRA));
		if (!(head & BSCOPE_SLOT_INDEX_MASK)) {
			if (!(extra & BSCOPE_SLOT_EXTRA)) {
				check_empty(b, n);
				continue;
			}
			must(!left.forgotten && slot(b, n)->value == id);
			must(slot(b, n + 1)->value == (site->index >> 11 & BSCOPE_SLOT_INDEX_MASK));
			must(n / BATCH == (n + 1) / BATCH);
			left.forgotten = true;
			n++;
			continue;
		}
		must(!left.marked && !left.forgotten && slot(b, n)->value == id);
		must((head & BSCOPE_SLOT_INDEX_MASK) ==
		     (site->index >> 11 & BSCOPE_SLOT_INDEX_MASK));
		left.marked = true;
		if (site->nargs == 1)
			continue;
		must(extra & BSCOPE_SLOT_EXTRA && slot(b, n + 1)->value == a1);
		must(n / BATCH == (n + 1) / BATCH);
		if (site->nargs == 3)
			must((extra >> 24 | (extra & 0xfffff) << 40) == a2);
		n++;
	}
	return left;
}

/* One mark of this thread, and what it left. */
static struct left make(struct bscope_buffer *b, const struct bscope_site *site, uint64_t id,
			uint64_t a1, uint64_t a2)
{
	uint64_t next = b->next, extra = b->extra;
	struct left left;

	mark(site, id, a1, a2);
	left = left_by(b, next, b->next, site, id, a1, a2);
	must(b->next - next - (b->extra - extra) == left.marked);
	return left;
}

/* This thread's buffer. */
static struct bscope_buffer *own_buffer(void)
{
	const struct bscope_site region = site_of(BSCOPE_KIND_REGION_ENTER, 1, 1);

	mark(&region, 1, 0, 0);
	must(mine());
	return mine();
}

#endif
