/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * test_follow_signals.c - sampling by object in the runtime under signal handlers, which come
 * between any two instructions of a mark, make marks of their own, and return, jump away or fork.
 */
#define _GNU_SOURCE
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <bscope/bscope.h>

#if defined(__x86_64__)

#include <ucontext.h>

#include "follow_check.h"

/* --- between any two instructions --------------------------------------------------------------
 */

/* The buffer of the thread. */
static struct bscope_buffer *current;

static volatile long step, step_at;
static void (*step_do)(void);

static void on_step(int sig, siginfo_t *info, void *context)
{
	ucontext_t *uc = context;

	(void)sig;
	(void)info;
	if (++step != step_at)
		return;
	uc->uc_mcontext.gregs[REG_EFL] &= ~0x100;
	step_do();
}

/* True if the handler had its turn. */
__attribute__((noinline, no_sanitize("thread"))) static bool
stepped(const struct bscope_site *site, uint64_t id, long at, void (*what)(void))
{
	step = 0;
	step_at = at;
	step_do = what;
	__asm__ __volatile__("pushfq\n\torq $0x100,(%%rsp)\n\tpopfq" : : : "memory", "cc");
	mark(site, id, 100, 5);
	__asm__ __volatile__("pushfq\n\tandq $~0x100,(%%rsp)\n\tpopfq" : : : "memory", "cc");
	return step >= at;
}

static int trap_each_step(void **state)
{
	struct sigaction act = {.sa_flags = SA_SIGINFO | SA_NODEFER};

	act.sa_sigaction = on_step;
	must(!sigaction(SIGTRAP, &act, NULL));
	current = NULL;
	return wipe(state);
}

static int trap_no_more(void **state)
{
	signal(SIGTRAP, SIG_DFL);
	return unfollow(state);
}

/* --- what is interrupted -----------------------------------------------------------------------
 */

/* The object that is, those of the handler, and those that fill up its bucket. */
#define BUCKET		 (4711ull << 50)
#define ID		 id_of_hash(BUCKET | 1 << 2)
#define HANDLER_ID	 id_of_hash(BUCKET | 2 << 2)
#define OTHER_ID	 id_of_hash(99ull << 50)
#define HANDLER_OTHER_ID (OTHER_ID ^ 64)
#define FILLER(i)	 id_of_hash(BUCKET | (uint64_t)(16 + (i)) << 2)

static const struct situation {
	unsigned kind, nargs;
	int state;     /* of the object */
	bool chosen;   /* what begins now is followed */
	bool bytes;    /* gaps are in bytes */
	bool blocks;   /* there are none, but blocks */
	bool resizing; /* a resize of one that is followed has begun */
	bool full;     /* no room for one more */
	bool anew;     /* the first mark since a tool has changed what it asks for */
} situations[] = {
	{.kind = BSCOPE_KIND_NEW, .nargs = 1, .chosen = true},
	{.kind = BSCOPE_KIND_NEW, .nargs = 2, .chosen = true},
	{.kind = BSCOPE_KIND_NEW, .nargs = 3, .chosen = true, .bytes = true},
	{.kind = BSCOPE_KIND_NEW, .nargs = 2, .chosen = true, .anew = true},
	{.kind = BSCOPE_KIND_NEW, .nargs = 1, .chosen = true, .full = true},
	{.kind = BSCOPE_KIND_NEW, .nargs = 3, .chosen = true, .full = true},
	{.kind = BSCOPE_KIND_NEW, .nargs = 1, .chosen = true, .state = ALIVE},
	{.kind = BSCOPE_KIND_NEW, .nargs = 2, .chosen = true, .state = DEAD},
	{.kind = BSCOPE_KIND_NEW, .nargs = 1},
	{.kind = BSCOPE_KIND_NEW, .nargs = 2, .chosen = true, .blocks = true},
	{.kind = BSCOPE_KIND_NEW, .nargs = 3, .chosen = true, .blocks = true, .anew = true},
	{.kind = BSCOPE_KIND_NEW, .nargs = 2, .blocks = true},
	{.kind = BSCOPE_KIND_NEW, .nargs = 1, .state = ALIVE, .blocks = true},
	{.kind = BSCOPE_KIND_NEW, .nargs = 2, .bytes = true},
	{.kind = BSCOPE_KIND_NEW, .nargs = 1, .state = ALIVE},
	{.kind = BSCOPE_KIND_NEW, .nargs = 3, .state = ALIVE, .anew = true},
	{.kind = BSCOPE_KIND_NEW, .nargs = 2, .state = DEAD},
	{.kind = BSCOPE_KIND_DROP, .nargs = 1, .state = ALIVE},
	{.kind = BSCOPE_KIND_DROP, .nargs = 1, .state = DEAD},
	{.kind = BSCOPE_KIND_DROP, .nargs = 1},
	{.kind = BSCOPE_KIND_USE, .nargs = 2, .state = ALIVE},
	{.kind = BSCOPE_KIND_USE, .nargs = 2},
	{.kind = BSCOPE_KIND_RESIZE_BEGIN, .nargs = 1, .state = ALIVE},
	{.kind = BSCOPE_KIND_RESIZE_BEGIN, .nargs = 1},
	{.kind = BSCOPE_KIND_RESIZE_END, .nargs = 2, .state = DEAD, .resizing = true},
	{.kind = BSCOPE_KIND_RESIZE_END, .nargs = 2, .resizing = true},
	{.kind = BSCOPE_KIND_RESIZE_END, .nargs = 2, .resizing = true, .full = true},
	{.kind = BSCOPE_KIND_RESIZE_END, .nargs = 3, .resizing = true, .bytes = true},
	{.kind = BSCOPE_KIND_RESIZE_END,
	 .nargs = 2,
	 .resizing = true,
	 .bytes = true,
	 .state = DEAD},
	{.kind = BSCOPE_KIND_RESIZE_END, .nargs = 2, .bytes = true, .chosen = true},
	{.kind = BSCOPE_KIND_RESIZE_END, .nargs = 2, .bytes = true, .state = ALIVE},
	{.kind = BSCOPE_KIND_RESIZE_END, .nargs = 2},
	{.kind = BSCOPE_KIND_RESIZE_END, .nargs = 2, .state = ALIVE},
	{.kind = BSCOPE_KIND_REGION_ENTER, .nargs = 1},
};

static void make_quietly(unsigned kind, uint64_t id)
{
	struct bscope_site site = site_of(kind, 0, nargs_of(kind, 1));

	mark(&site, id, 64, 0);
}

static void choose(bool chosen, bool bytes, bool blocks)
{
	follow(bytes ? BS_SAMPLE_BYTES : BS_SAMPLE_OBJECTS, chosen ? 1 : 1e12);
	if (chosen)
		control()->follow_gap = 0;
	if (!bytes)
		control()->follow_flags = blocks ? BSCOPE_FOLLOW_BLOCKS : 0;
	control()->follow_block = chosen ? 1 : BSCOPE_FOLLOW_BLOCK_MAX;
}

/* All that is in its bucket. */
static void forget(uint64_t id)
{
	uint64_t bucket = hash_of(0, id) >> 50;

	memset(table()->keys[bucket], 0, sizeof(table()->keys[bucket]));
	memset(&table()->filter[bucket << 3], 0, 8);
}

/* Brings the table and the thread into it, at this place of a half. */
static struct bscope_buffer *go_into(const struct situation *s, uint64_t at)
{
	struct bscope_buffer *b;

	forget(ID);
	forget(OTHER_ID);
	forget(HANDLER_OTHER_ID);
	choose(true, false, false);
	if (!current)
		current = own_buffer();
	b = current;
	b->resizing = 0;
	if (s->resizing) {
		make_quietly(BSCOPE_KIND_NEW, OTHER_ID);
		make_quietly(BSCOPE_KIND_RESIZE_BEGIN, OTHER_ID);
	}
	if (s->state != ABSENT)
		make_quietly(BSCOPE_KIND_NEW, ID);
	if (s->state == DEAD)
		make_quietly(BSCOPE_KIND_DROP, ID);
	for (uint64_t i = 0; s->full && i < 8; i++)
		make_quietly(BSCOPE_KIND_NEW, FILLER(i));
	choose(s->chosen, s->bytes, s->blocks);
	if (!s->anew)
		make_quietly(BSCOPE_KIND_REGION_ENTER, 1);
	/* Without sampling, which would draw the gap of this epoch. */
	control()->follow = 0;
	while (b->next % BATCH != at)
		make_quietly(BSCOPE_KIND_REGION_ENTER, 1);
	control()->follow = 1;
	must(state_of(0, ID) == s->state);
	return b;
}

/* What the mark leaves if nobody comes in between. */
static struct left expected(const struct situation *s)
{
	switch (s->kind) {
	case BSCOPE_KIND_NEW:
		return (struct left){s->chosen, s->chosen ? s->full : s->state == ALIVE};
	case BSCOPE_KIND_RESIZE_END:
		if (s->resizing)
			return (struct left){true, s->full || (s->bytes && !s->chosen)};
		return (struct left){s->bytes && s->chosen,
				     !(s->bytes && s->chosen) && s->state == ALIVE};
	case BSCOPE_KIND_REGION_ENTER:
		return (struct left){true, false};
	default:
		return (struct left){s->state != ABSENT, false};
	}
}

static int state_after(const struct situation *s, struct left left)
{
	switch (s->kind) {
	case BSCOPE_KIND_NEW:
	case BSCOPE_KIND_RESIZE_END:
		return left.marked && !left.forgotten ? ALIVE : ABSENT;
	case BSCOPE_KIND_DROP:
	case BSCOPE_KIND_RESIZE_BEGIN:
		return s->state == ALIVE ? DEAD : s->state;
	default:
		return s->state;
	}
}

/* --- what was left -----------------------------------------------------------------------------
 */

struct walk {
	struct left main;
	unsigned last;	 /* what was left last of the object: its kind, or 0: forgotten */
	unsigned others; /* events of other objects */
	unsigned holes;	 /* slots that were never committed */
};

/* Of slots from..to-1; the site of a mark is known by its number (site_of). */
static struct walk walk(const struct bscope_buffer *b, uint64_t from, uint64_t to,
			const struct situation *s)
{
	struct walk w = {.last = UINT32_MAX};

	for (uint64_t n = from; n < to; n++) {
		uint64_t head = slot(b, n)->head, extra = n + 1 < to ? slot(b, n + 1)->head : 0;
		uint32_t number = head & BSCOPE_SLOT_INDEX_MASK;
		bool mine = slot(b, n)->value == ID, two;

		if (!is_committed(b, n)) {
			w.holes++;
			continue;
		}
		/* Its head is a hole. */
		if (head & BSCOPE_SLOT_EXTRA)
			continue;
		two = is_committed(b, n + 1) && extra & BSCOPE_SLOT_EXTRA;
		if (!number && !two) {
			check_empty(b, n);
			continue;
		}
		must(!number || two == (number % 64 / 16 > 1));
		if (mine) {
			must(!number || number == s->kind * 64 + s->nargs * 16);
			must(number || slot(b, n + 1)->value == s->kind * 64 + s->nargs * 16);
			must(number ? !w.main.marked : !w.main.forgotten);
			w.main.marked |= number > 0;
			w.main.forgotten |= !number;
			w.last = number / 64;
		} else {
			w.others++;
		}
		n += two;
	}
	return w;
}

/* --- handlers ----------------------------------------------------------------------------------
 */

static unsigned handler_left;
static bool handler_chooses;

static void handler_make(unsigned kind, uint64_t id, bool marked)
{
	struct bscope_buffer *b = current;
	uint64_t before = b->next - b->extra;

	make_quietly(kind, id);
	must(b->next - b->extra - before == marked);
	handler_left += marked;
}

/*
 * Lives of its own, one in the same bucket, with resizes.  There may be no room: then it begins,
 * and that is all.
 */
static void handler_lives(void)
{
	for (unsigned i = 0; i < 2; i++) {
		uint64_t id = i ? HANDLER_ID : HANDLER_OTHER_ID;
		bool is = handler_chooses;

		handler_make(BSCOPE_KIND_NEW, id, is);
		is &= state_of(0, id) == ALIVE;
		handler_make(BSCOPE_KIND_USE, id, is);
		handler_make(BSCOPE_KIND_RESIZE_BEGIN, id, is);
		if (control()->follow_flags & BSCOPE_FOLLOW_BYTES)
			make_quietly(BSCOPE_KIND_RESIZE_END, id);
		else
			handler_make(BSCOPE_KIND_RESIZE_END, id, is);
		make_quietly(BSCOPE_KIND_DROP, id);
		must(state_of(0, id) != ALIVE);
	}
}

static const uint64_t places[] = {5, BATCH - 1, BATCH - 2, BATCH - 3, BATCH - 4};

/* Every third step at the first place; at the others some: each step takes all those before it. */
static long stride(size_t k)
{
	return k % ARRAY(places) ? 17 : situations[k / ARRAY(places)].anew ? 7 : 3;
}

static long first(size_t k)
{
	return 1 + (long)(rng() % (uint64_t)stride(k));
}

/* The handler returns: of the mark all is as if it had not been. */
static void test_nested(void **state)
{
	unsigned turns = 0;

	(void)state;
	for (size_t k = 0; k < ARRAY(situations) * ARRAY(places); k++) {
		const struct situation *s = &situations[k / ARRAY(places)];
		const struct bscope_site site = site_of(s->kind, 0, s->nargs);
		bool hit = true;

		handler_chooses = s->chosen;
		for (long at = first(k); hit; at += stride(k)) {
			struct bscope_buffer *b = go_into(s, places[k % ARRAY(places)]);
			uint64_t from = b->next;
			struct left want = expected(s);
			struct walk w;

			handler_left = 0;
			hit = stepped(&site, ID, at, handler_lives);
			w = walk(b, from, b->next, s);
			must(!w.holes && w.others >= handler_left);
			/* The handler's life may have been put where this one found no room. */
			must(w.main.marked == want.marked);
			must(w.main.forgotten == want.forgotten);
			must(state_of(0, ID) == state_after(s, want));
			must(b->resizing ==
			     (s->kind == BSCOPE_KIND_RESIZE_BEGIN ? (uint64_t)(s->state == ALIVE)
			      : s->kind == BSCOPE_KIND_RESIZE_END ? 0
								  : (uint64_t)s->resizing));
			if (++turns % 16 == 0)
				check_filter(true);
		}
	}
	assert_true(turns > 1000);
}

/* Another birth of the same stratum. */
static void handler_birth(void)
{
	make_quietly(BSCOPE_KIND_NEW, HANDLER_ID);
}

/* Births up to the end of the block that the next one to be followed is in. */
static uint64_t to_end(uint64_t block)
{
	return (uint32_t)block + (block >> 32) - 1;
}

/* However the handler comes in between: each birth counts once, and each block has its one. */
static void test_blocks(void **state)
{
	enum { BIRTHS = 5 };
	const struct bscope_site site = site_of(BSCOPE_KIND_NEW, 0, 2);
	unsigned turns = 0, both = 0;

	(void)state;
	for (uint32_t left = 1; left <= 3; left++)
		for (uint32_t behind = 0; behind <= 2; behind++)
			for (int anew = 0; anew < 2; anew++) {
				bool hit = true;

				for (long at = 1; hit; at++) {
					uint64_t from, before, marks, *block;
					struct bscope_buffer *b;

					forget(ID);
					follow(BS_SAMPLE_OBJECTS, BIRTHS);
					b = current = own_buffer();
					block = &b->blocks[site.index >> 11 & 255];
					if (!anew)
						*block = (behind + 1ull) << 32 | left;
					from = b->next - b->extra;
					before = anew ? BIRTHS : to_end(*block);
					hit = stepped(&site, ID, at, handler_birth);
					marks = b->next - b->extra - from;
					must(to_end(*block) + 1 + hit == before + marks * BIRTHS);
					must((uint32_t)*block && *block >> 32);
					must(anew || marks >= (left <= 1u + hit));
					both += marks == 2;
					turns += hit;
				}
			}
	/* Where a block had one left, and the next began with one. */
	assert_true(turns > 500 && both > 5);
}

/* The first mark of a new epoch, and none of this stratum. */
static void handler_epoch(void)
{
	control()->follow_epoch++;
	make_quietly(BSCOPE_KIND_REGION_ENTER, 1);
}

/* A handler empties all blocks: none is left that never ends. */
static void test_blocks_anew(void **state)
{
	enum { BIRTHS = 5 };
	const struct bscope_site site = site_of(BSCOPE_KIND_NEW, 0, 2);
	unsigned turns = 0;

	(void)state;
	for (uint32_t left = 1; left <= 3; left++) {
		bool hit = true;

		for (long at = 1; hit; at++) {
			uint64_t *block;

			forget(ID);
			follow(BS_SAMPLE_OBJECTS, BIRTHS);
			current = own_buffer();
			block = &current->blocks[site.index >> 11 & 255];
			*block = 2ull << 32 | left;
			hit = stepped(&site, ID, at, handler_epoch);
			must(!*block || to_end(*block) < 2ull * BIRTHS);
			turns += hit;
		}
	}
	assert_true(turns > 50);
}

static sigjmp_buf away;

static void handler_jumps(void)
{
	handler_lives();
	siglongjmp(away, 1);
}

/*
 * The handler does not come back.  Whatever part of the mark was done: whoever reads what was left
 * takes no object for alive that is not in the table any more, unless there is a hole, which is a
 * loss to him.  No counter is too low, and what comes after is right.
 */
static void test_jump_away(void **state)
{
	static const volatile struct situation *volatile s;
	volatile unsigned turns = 0;

	(void)state;
	for (volatile size_t k = 0; k < ARRAY(situations) * ARRAY(places); k++) {
		volatile bool hit = true;

		s = &situations[k / ARRAY(places)];
		handler_chooses = s->chosen;
		for (volatile long at = first(k); hit; at += stride(k)) {
			const struct situation *now = (const struct situation *)s;
			const struct bscope_site site = site_of(now->kind, 0, now->nargs);
			struct bscope_buffer *volatile b = go_into(now, places[k % ARRAY(places)]);
			volatile uint64_t from = b->next;
			struct walk w;
			bool alive;

			handler_left = 0;
			if (!sigsetjmp(away, 1))
				hit = stepped(&site, ID, at, handler_jumps);
			now = (const struct situation *)s;
			w = walk(b, from, b->next, now);
			alive = w.last == UINT32_MAX ? now->state == ALIVE
						     : w.last == BSCOPE_KIND_NEW ||
							       w.last == BSCOPE_KIND_RESIZE_END ||
							       (w.last == BSCOPE_KIND_USE &&
								now->state == ALIVE);
			must(!alive || w.holes || state_of(0, ID) == ALIVE);
			must(w.holes <= 6);
			if (++turns % 16 == 0)
				check_filter(false);
			/* Another life, and this one. */
			handler_left = 0;
			handler_lives();
			make_quietly(BSCOPE_KIND_NEW, ID);
			make_quietly(BSCOPE_KIND_DROP, ID);
			must(state_of(0, ID) != ALIVE);
			/* Each place gets a slot of this lap: see test_record_signals.c. */
			control()->follow = 0;
			for (uint64_t i = 0; w.holes && i < SLOTS; i++)
				make_quietly(BSCOPE_KIND_RETAIN, 1);
		}
	}
	assert_true(turns > 1000);
}

#ifndef __SANITIZE_THREAD__ /* which cannot fork in handlers */

static pid_t forked;

static void handler_forks(void)
{
	forked = fork();
}

/* The child begins with an empty table, whatever its parent was doing. */
static void test_fork_inside(void **state)
{
	static const size_t which[] = {1, 5, 10, 20};
	unsigned turns = 0;

	(void)state;
	for (size_t k = 0; k < ARRAY(which); k++) {
		const struct situation *s = &situations[which[k]];
		const struct bscope_site site = site_of(s->kind, 0, s->nargs);
		bool hit = true;

		for (long at = 1; hit; at++) {
			struct bscope_buffer *b = go_into(s, 5);
			uint64_t from = b->next;
			struct walk w;

			hit = stepped(&site, ID, at, handler_forks);
			if (hit && !forked) {
				choose(true, false, false);
				make_quietly(BSCOPE_KIND_REGION_ENTER, 1);
				/* The same one, by its place among all. */
				must(b->owner == thread_pointer() && b->next < FIRST + 10);
				for (uint64_t i = 0; i < 100; i++) {
					struct bscope_site new = site_of(BSCOPE_KIND_NEW, 0, 2);
					struct bscope_site drop = site_of(BSCOPE_KIND_DROP, 0, 1);

					must(make(b, &new, i, 1, 0).marked);
					must(state_of(0, i) == ALIVE);
					must(make(b, &drop, i, 0, 0).marked);
					must(state_of(0, i) == DEAD);
				}
				must(state_of(0, FILLER(3)) == ABSENT);
				_exit(0);
			}
			if (hit)
				reap(forked);
			w = walk(b, from, b->next, s);
			must(!w.holes && !w.others);
			must(w.main.marked == expected(s).marked);
			must(w.main.forgotten == expected(s).forgotten);
			must(state_of(0, ID) == state_after(s, expected(s)));
			turns += hit;
		}
	}
	assert_true(turns > 300);
}

#endif

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_nested, trap_each_step, trap_no_more),
		cmocka_unit_test_setup_teardown(test_blocks, trap_each_step, trap_no_more),
		cmocka_unit_test_setup_teardown(test_blocks_anew, trap_each_step, trap_no_more),
		cmocka_unit_test_setup_teardown(test_jump_away, trap_each_step, trap_no_more),
#ifndef __SANITIZE_THREAD__
		cmocka_unit_test_setup_teardown(test_fork_inside, trap_each_step, trap_no_more),
#endif
	};

	test_pid = getpid();
	return cmocka_run_group_tests(tests, NULL, NULL);
}

#else
#include "no_entries.h"
#endif
