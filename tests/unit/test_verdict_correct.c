/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * test_verdict_correct.c - a correct program, seen through clocks that differ, is accused of
 * nothing: seen from its start or from the middle on, with losses, with only some objects followed.
 */
#include "verdict_random.h"

enum { OBJECTS = 6, THREADS = 5, EVENTS = 4000, IDS = 8 };

struct object {
	bool alive, counted;
	unsigned id, from; /* numbers of ids; from: before the resize that is under way */
	int resizer;	   /* the thread, or -1 */
	unsigned refs;
	unsigned shared[THREADS]; /* borrow levels by borrower */
	int exclusive;		  /* the borrower, or -1 */
	uint64_t owner;
};

static bool id_taken[IDS];

/* One that nobody has: an allocator gives them out again, most often the last one. */
static unsigned id_take(void)
{
	unsigned id = below(IDS);

	while (id_taken[id])
		id = (id + 1) % IDS;
	id_taken[id] = true;
	return id;
}

/* What this thread may do with that object now: a kind, 0 if nothing; *arg: its operand. */
static unsigned legal(struct object *o, unsigned t, uint64_t *arg)
{
	bool borrowed = o->exclusive >= 0;
	/* Borrowers are handed from thread to thread. */
	unsigned by = below(2) ? t : below(THREADS);

	for (unsigned i = 0; i < THREADS; i++)
		borrowed |= o->shared[i];
	*arg = 1 + by;
	if (!o->alive) {
		*o = (struct object){.alive = true,
				     .counted = below(2),
				     .id = id_take(),
				     .resizer = -1,
				     .refs = 1,
				     .exclusive = -1};
		return BSCOPE_KIND_NEW;
	}
	if (o->resizer >= 0) {
		if (o->resizer != (int)t)
			return 0;
		o->resizer = -1;
		return BSCOPE_KIND_RESIZE_END;
	}
	switch (below(9)) {
	case 8:
		if (borrowed || o->refs != 1)
			return 0;
		/* Between begin and end others may get the id that it had. */
		o->resizer = (int)t;
		o->from = o->id;
		if (below(2)) {
			o->id = id_take();
			id_taken[o->from] = false;
		}
		return BSCOPE_KIND_RESIZE_BEGIN;
	case 0:
		if (o->counted && o->refs) {
			o->refs++;
			return BSCOPE_KIND_RETAIN;
		}
		return 0;
	case 1:
	case 2:
		if (o->counted && o->refs > 1) {
			o->refs--;
			return BSCOPE_KIND_RELEASE;
		}
		/* The last one: by then nobody borrows it. */
		if (o->counted && o->refs == 1 && !borrowed) {
			o->refs = 0;
			return BSCOPE_KIND_RELEASE;
		}
		if (borrowed || (o->counted && o->refs))
			return 0;
		o->alive = false;
		id_taken[o->id] = false;
		return BSCOPE_KIND_DROP;
	case 3:
		if (!o->refs || o->exclusive >= 0)
			return 0;
		o->shared[by]++;
		return BSCOPE_KIND_BORROW;
	case 4:
		if (!o->refs || borrowed)
			return 0;
		o->exclusive = (int)by;
		return BSCOPE_KIND_BORROW_MUT;
	case 5:
	case 6:
		if (o->exclusive == (int)by)
			o->exclusive = -1;
		else if (o->shared[by])
			o->shared[by]--;
		else
			return 0;
		return BSCOPE_KIND_UNBORROW;
	default:
		if (!o->refs)
			return 0;
		if (below(2)) {
			o->owner = *arg = 50 + below(3);
			return BSCOPE_KIND_MOVE;
		}
		*arg = o->owner ? o->owner : *arg;
		return BSCOPE_KIND_USE;
	}
}

/* Stamps are at most so much too early or too late; two of twice that have no order. */
enum { SKEW_LITTLE = 250, SKEW_ALL = BS_MODEL_SKEW_NS / 2 };

static uint64_t stamp(uint64_t t, unsigned skew)
{
	return t + below(2 * skew + 1) - skew;
}

/*
 * Marks 50 to 300 ns apart, stamped too early or too late.
 * sampled: of some objects only.  late: tracing begins in the middle.  lossy: some are lost.
 */
static void correct_rounds(bool sampled, bool late, bool lossy)
{
	/* Found wrong, with one of these. */
	static const struct {
		unsigned round, skew;
	} rare[] = {
		{1980, SKEW_LITTLE}, {3009, SKEW_LITTLE}, {3172, SKEW_LITTLE},
		{4816, SKEW_LITTLE}, {6364, SKEW_LITTLE}, {11531, SKEW_LITTLE},
		{20357, SKEW_ALL},   {20542, SKEW_ALL},	  {40083, SKEW_ALL},
	};

	for (unsigned i = 0; i < 300 + sizeof(rare) / sizeof(rare[0]); i++) {
		unsigned round = i < 300 ? i : rare[i - 300].round;
		unsigned often = i % 2 ? SKEW_ALL : SKEW_LITTLE;
		unsigned skew = i < 300 ? often : rare[i - 300].skew;
		struct bs_event *v = calloc(2 * EVENTS, sizeof(*v));
		struct object objects[OBJECTS] = {0};
		uint64_t last[THREADS] = {0}, t = 1000000;
		unsigned busy[THREADS] = {0}; /* number of an object + 1 */
		size_t n = 0, unseen;

		memset(id_taken, 0, sizeof(id_taken));
		assert_non_null(v);
		seed = round * 0x9e3779b97f4a7c15ull + 1;
		model_new();
		follow_begin(sampled ? 2 + round % 3 : 1);
		if (sampled)
			model_sample(follow_mean);
		unseen = late ? below(EVENTS) : 0;
		if (!late)
			started();
		while (n < EVENTS) {
			struct bs_event ev;
			int what = MARK;
			unsigned thread = below(THREADS), o = below(OBJECTS), kind;
			uint64_t arg, ts;

			/* Between begin and end it does nothing else. */
			if (busy[thread] && busy[thread] != o + 1)
				continue;
			kind = legal(&objects[o], thread, &arg);
			if (!kind)
				continue;
			if (kind == BSCOPE_KIND_RESIZE_BEGIN || kind == BSCOPE_KIND_RESIZE_END)
				busy[thread] = kind == BSCOPE_KIND_RESIZE_BEGIN ? o + 1 : 0;
			t += 50 + below(250);
			ts = stamp(t, skew);
			if (ts < last[thread])
				ts = last[thread];
			last[thread] = ts;
			ev = (struct bs_event){
				.ts_ns = ts,
				.id = 0x10000u *
				      (1 + (kind == BSCOPE_KIND_RESIZE_BEGIN ? objects[o].from
									     : objects[o].id)),
				.arg = arg,
				.pid = PID,
				.tid = thread,
				.place = kind,
				.klass_id = BUF,
				.type = BS_EVENT_MARK,
				.kind = (uint8_t)kind,
				.has = kind == BSCOPE_KIND_NEW ? 0 : BS_EVENT_HAS_OTHER,
			};
			if (unseen) {
				unseen--;
				continue;
			}
			if (sampled)
				what = follow(&ev);
			if (what & MARK)
				v[n++] = ev;
			if (what & FORGET)
				v[n++] = forgotten(&ev);
		}
		order_by_stamps(v, n);
		hand_on(v, n, lossy);
		NOTHING();
		model_adds_up();
		free(v);
		bs_model_free(m);
	}
}

static void a_correct_program_is_left_alone(void **state)
{
	(void)state;
	correct_rounds(false, false, false);
	correct_rounds(false, true, false);
	correct_rounds(false, false, true);
	correct_rounds(false, true, true);
}

static void a_correct_program_is_left_alone_sampled(void **state)
{
	(void)state;
	correct_rounds(true, false, false);
	correct_rounds(true, true, false);
	correct_rounds(true, false, true);
	correct_rounds(true, true, true);
}

/* --- structs and their first members ------------------------------------------------------------
 */

/*
 * A struct is an object, and so is its first member, which comes and goes while the struct is
 * there. Both borrow and own items, under the id that they share.  A destructor says that it is at
 * work, and then gives back and drops what is left.
 */
enum { STRUCTS = 3, ITEMS = 4, OUTER = 0, MEMBER = 1 };

struct nested {
	bool alive[2];
	bool ending[2]; /* a destructor is at work */
	unsigned borrows[2][ITEMS];
};

/* What a thread is in the middle of. */
struct destructor {
	struct nested *of; /* NULL: nothing */
	int part;
};

struct item {
	bool alive;
	const bool *owner; /* whose `alive` that is, NULL: nobody's */
};

static struct nested structs[STRUCTS];
static struct item items[ITEMS];

static bool is_borrowed(unsigned item)
{
	for (unsigned i = 0; i < STRUCTS; i++)
		if (structs[i].borrows[OUTER][item] || structs[i].borrows[MEMBER][item])
			return true;
	return false;
}

/* One of the two begins or ends: a kind, 0 if it may not now. */
static unsigned part_life(struct nested *s, int part, struct destructor *d)
{
	if (s->ending[part])
		return 0;
	if (!s->alive[part]) {
		if (part == MEMBER && (!s->alive[OUTER] || s->ending[OUTER]))
			return 0;
		s->alive[part] = true;
		return BSCOPE_KIND_NEW;
	}
	/* Members go first. */
	if (part == OUTER && (s->alive[MEMBER] || s->ending[MEMBER]))
		return 0;
	s->alive[part] = false;
	s->ending[part] = true;
	*d = (struct destructor){s, part};
	return BSCOPE_KIND_DROP;
}

/* The destructor goes on: a kind, with *item; 0: it is done. */
static unsigned destroy(struct destructor *d, unsigned *item)
{
	for (unsigned i = 0; i < ITEMS; i++) {
		struct item *it = &items[i];

		*item = i;
		if (d->of->borrows[d->part][i]) {
			d->of->borrows[d->part][i]--;
			return BSCOPE_KIND_UNBORROW;
		}
		if (!it->alive || it->owner != &d->of->alive[d->part])
			continue;
		it->owner = NULL;
		/* Somebody else takes over what is in use. */
		if (is_borrowed(i))
			return BSCOPE_KIND_MOVE;
		it->alive = false;
		return BSCOPE_KIND_DROP;
	}
	d->of->ending[d->part] = false;
	d->of = NULL;
	return 0;
}

/* What one of the two does with an item. */
static unsigned part_deals(struct nested *s, int part, unsigned item)
{
	struct item *it = &items[item];

	if (!it->alive) {
		*it = (struct item){.alive = true};
		return BSCOPE_KIND_NEW;
	}
	if (!s->alive[part])
		return 0;
	switch (below(4)) {
	case 0:
		s->borrows[part][item]++;
		return BSCOPE_KIND_BORROW;
	case 1:
		if (!s->borrows[part][item])
			return 0;
		s->borrows[part][item]--;
		return BSCOPE_KIND_UNBORROW;
	case 2:
		it->owner = &s->alive[part];
		return BSCOPE_KIND_MOVE;
	default:
		if (is_borrowed(item) || (it->owner && it->owner != &s->alive[part]))
			return 0;
		*it = (struct item){0};
		return BSCOPE_KIND_DROP;
	}
}

/*
 * unseen: so many marks come before anybody looks; missing: so many in which those of one class are
 * not lit, a struct's or a member's, which is then told.
 */
static void nested_round(size_t unseen, size_t missing, bool lossy)
{
	unsigned skew = below(2) ? SKEW_ALL : SKEW_LITTLE;
	struct bs_event *v = calloc(EVENTS, sizeof(*v));
	struct destructor busy[THREADS] = {{0}};
	uint64_t last[THREADS] = {0}, t = 1000000, lit = 0;
	uint32_t dark = below(2) ? CONN : REQ;
	size_t n = 0;

	assert_non_null(v);
	memset(structs, 0, sizeof(structs));
	memset(items, 0, sizeof(items));
	model_new();
	if (!unseen)
		started();
	while (n < EVENTS) {
		unsigned thread = below(THREADS), s = below(STRUCTS), item = below(ITEMS);
		bool life = below(4) == 0, ends = busy[thread].of;
		int part = (int)below(2);
		uint64_t at, ts;
		uint32_t klass;
		unsigned kind;

		if (ends) {
			s = (unsigned)(busy[thread].of - structs);
			life = false;
			kind = destroy(&busy[thread], &item);
		} else if (life) {
			kind = part_life(&structs[s], part, &busy[thread]);
		} else {
			kind = part_deals(&structs[s], part, item);
		}
		if (!kind)
			continue;
		at = 0x10000u * (1 + s);
		klass = life ? (part == OUTER ? CONN : REQ) : (uint32_t)BUF;
		t += 50 + below(250);
		ts = stamp(t, skew);
		ts = ts < last[thread] ? last[thread] : ts;
		last[thread] = ts;
		if (unseen) {
			unseen--;
			continue;
		}
		if (missing && --missing == 0)
			lit = t;
		if (missing && klass == dark)
			continue;
		v[n++] = (struct bs_event){
			.ts_ns = ts,
			.id = life ? at : 0x100000u * (1 + item),
			.arg = kind == BSCOPE_KIND_NEW		  ? 64
			       : ends && kind == BSCOPE_KIND_MOVE ? 0x77
								  : at,
			.pid = PID,
			.tid = thread,
			.place = 16 * klass + kind,
			.klass_id = klass,
			.type = BS_EVENT_MARK,
			.kind = (uint8_t)kind,
			.has = kind == BSCOPE_KIND_NEW ? 0 : BS_EVENT_HAS_OTHER,
		};
	}
	/* Before its first mark comes, as a library that was loaded is found. */
	if (lit)
		assert_int_equal(bs_model_class(m, dark, true, lit + 1000), 0);
	order_by_stamps(v, n);
	hand_on(v, n, lossy);
	now = t + 1000;
	for (unsigned i = 0; i < THREADS; i++) {
		const struct bs_event killed = {
			.ts_ns = now, .pid = PID, .tid = i, .type = BS_EVENT_KILLED};

		if (busy[i].of)
			assert_int_equal(bs_model_event(m, &killed), 0);
	}
	exits();
	NOTHING();
	model_adds_up();
	free(v);
	bs_model_free(m);
}

static void structs_and_their_members_are_left_alone(void **state)
{
	(void)state;
	for (unsigned round = 0; round < 300; round++) {
		seed = round * 0x9e3779b97f4a7c15ull + 5;
		nested_round(0, 0, false);
		nested_round(1 + below(EVENTS), 0, false);
		nested_round(0, 1 + below(EVENTS / 2), false);
		nested_round(0, 0, true);
		nested_round(1 + below(EVENTS), 0, true);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_correct_program_is_left_alone),
		cmocka_unit_test(a_correct_program_is_left_alone_sampled),
		cmocka_unit_test(structs_and_their_members_are_left_alone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
