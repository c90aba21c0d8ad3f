/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * test_verdict_shared.c - correct programs whose objects share their ids with those of other
 * classes, and borrow and own by them, seen through clocks that differ, are accused of nothing.
 *
 * Any mark is drawn, and made if the program may make it then, by the true order.
 */
#include "verdict_random.h"

enum { THREADS = 6, IDS = 8, MARKS = 1200, HOLDS = 256, DEPTH = 2, ROUNDS = 400 };

/* Who borrows and owns: threads, objects by their ids, numbers. */
enum { BY_ID = 8, BY_NUMBER = BY_ID + IDS, BORROWERS = BY_NUMBER + 4 };

struct action {
	unsigned kind, thread, klass, id;
	unsigned by, by_klass; /* of the object whose id that is; 0: of none */
};

struct object {
	bool alive, counted, moved;
	unsigned number, refs, region;
	unsigned levels[BORROWERS], exclusive[BORROWERS];
	unsigned owner, owner_number; /* 0: nobody, or no object */
};

/* So many levels are that object's. */
struct hold {
	unsigned of, by, holder, holder_klass, n;
};

static struct program {
	struct object at[CLASSES + 1][IDS];
	struct object resized[THREADS]; /* by whom, in between */
	unsigned resized_klass[THREADS];
	struct {
		bool busy;
		unsigned thread, number; /* the object's */
	} destructor[CLASSES + 1][IDS];
	struct hold holds[HOLDS];
	unsigned numbers, regions, region[THREADS][DEPTH], depth[THREADS];
} pr;

/* The thread that destroys that object, from 1; 0: nobody does. */
static unsigned destroyer(unsigned number)
{
	for (unsigned k = 1; k <= CLASSES; k++)
		for (unsigned i = 0; i < IDS; i++)
			if (pr.destructor[k][i].busy && pr.destructor[k][i].number == number)
				return pr.destructor[k][i].thread + 1;
	return 0;
}

static bool destroys(unsigned thread)
{
	for (unsigned k = 1; k <= CLASSES; k++)
		for (unsigned i = 0; i < IDS; i++)
			if (pr.destructor[k][i].busy && pr.destructor[k][i].thread == thread)
				return true;
	return false;
}

static struct object *object_of(unsigned number)
{
	for (unsigned k = 1; k <= CLASSES; k++)
		for (unsigned i = 0; i < IDS; i++)
			if (pr.at[k][i].alive && pr.at[k][i].number == number)
				return &pr.at[k][i];
	return NULL;
}

/* Does it borrow or own anything? */
static bool has_any(unsigned number)
{
	for (unsigned i = 0; i < HOLDS; i++)
		if (pr.holds[i].n && pr.holds[i].holder == number)
			return true;
	for (unsigned k = 1; k <= CLASSES; k++)
		for (unsigned i = 0; i < IDS; i++)
			if (pr.at[k][i].alive && pr.at[k][i].owner_number == number)
				return true;
	for (unsigned t = 0; t < THREADS; t++)
		if (pr.resized[t].alive && pr.resized[t].owner_number == number)
			return true;
	return false;
}

static bool is_borrowed(const struct object *o)
{
	for (unsigned i = 0; i < BORROWERS; i++)
		if (o->levels[i])
			return true;
	return false;
}

/* Those whose destructor has nothing left to do are gone. */
static void destructors_end(void)
{
	for (unsigned k = 1; k <= CLASSES; k++)
		for (unsigned i = 0; i < IDS; i++)
			pr.destructor[k][i].busy &= has_any(pr.destructor[k][i].number);
}

/* The object that is meant by `by`: its number, 0 if it is none; false if there is no such. */
static bool by_number(const struct action *a, const struct object *o, unsigned *number)
{
	const struct object *by;

	*number = 0;
	if (!a->by_klass)
		return a->by < BY_ID || a->by >= BY_NUMBER;
	if (a->by < BY_ID || a->by >= BY_NUMBER)
		return false;
	by = &pr.at[a->by_klass][a->by - BY_ID];
	*number = by->number;
	return by->alive && by != o;
}

static bool borrow(const struct action *a, struct object *o)
{
	bool exclusive = a->kind == BSCOPE_KIND_BORROW_MUT;
	struct hold *h = NULL;
	unsigned number;

	if (!o->refs || o->levels[a->by] == 5 || !by_number(a, o, &number))
		return false;
	for (unsigned i = 0; i < BORROWERS; i++)
		if (i != a->by && o->levels[i] && (exclusive || o->exclusive[i]))
			return false;
	for (unsigned i = 0; i < HOLDS; i++) {
		struct hold *at = &pr.holds[i];

		if (at->n && at->of == o->number && at->by == a->by && at->holder == number)
			h = at;
		else if (!h && !at->n)
			h = at;
	}
	assert_non_null(h);
	*h = (struct hold){o->number, a->by, number, a->by_klass, h->n + 1};
	o->levels[a->by]++;
	if (exclusive && !o->exclusive[a->by])
		o->exclusive[a->by] = o->levels[a->by];
	return true;
}

/* What is being destroyed gives back itself what it has. */
static bool unborrow(const struct action *a, struct object *o, bool cleans)
{
	for (unsigned i = 0; i < HOLDS; i++) {
		struct hold *h = &pr.holds[i];
		unsigned by = h->holder ? destroyer(h->holder) : 0;

		if (!h->n || h->of != o->number || h->by != a->by ||
		    h->holder_klass != a->by_klass || (by && by != a->thread + 1) ||
		    (cleans && by != a->thread + 1))
			continue;
		h->n--;
		if (--o->levels[a->by] < o->exclusive[a->by])
			o->exclusive[a->by] = 0;
		return true;
	}
	return false;
}

static bool owned_by_destroyed(const struct object *o, unsigned thread)
{
	return o->owner_number && destroyer(o->owner_number) == thread + 1;
}

static bool leave_region(unsigned thread)
{
	unsigned r = pr.depth[thread] ? pr.region[thread][pr.depth[thread] - 1] : 0;

	for (unsigned k = 1; k <= CLASSES; k++)
		for (unsigned i = 0; i < IDS + THREADS; i++) {
			const struct object *o = i < IDS ? &pr.at[k][i] : &pr.resized[i - IDS];

			if (o->alive && o->region == r && !o->moved && !o->counted)
				return false;
		}
	if (r)
		pr.depth[thread]--;
	return r;
}

/* Ends a life at an id, or begins one there. */
static bool life(const struct action *a, struct object *o, bool cleans)
{
	unsigned t = a->thread, r = pr.depth[t] ? pr.region[t][pr.depth[t] - 1] : 0;
	bool taken = o->alive || pr.destructor[a->klass][a->id].busy;

	switch (a->kind) {
	case BSCOPE_KIND_NEW:
		if (taken)
			return false;
		*o = (struct object){.alive = true, .number = ++pr.numbers, .refs = 1, .region = r};
		return true;
	case BSCOPE_KIND_RESIZE_BEGIN:
		if (!o->alive || !o->refs)
			return false;
		pr.resized[t] = *o;
		pr.resized_klass[t] = a->klass;
		o->alive = false;
		return true;
	case BSCOPE_KIND_RESIZE_END:
		if (taken || !pr.resized[t].alive || pr.resized_klass[t] != a->klass)
			return false;
		*o = pr.resized[t];
		pr.resized[t].alive = false;
		return true;
	default:
		if (!o->alive || is_borrowed(o) || o->refs != !o->counted ||
		    (cleans && !owned_by_destroyed(o, t)))
			return false;
		o->alive = false;
		if (!has_any(o->number))
			return true;
		pr.destructor[a->klass][a->id].busy = true;
		pr.destructor[a->klass][a->id].thread = t;
		pr.destructor[a->klass][a->id].number = o->number;
		return true;
	}
}

/* May it be done now?  Then it is. */
static bool act(const struct action *a)
{
	struct object *o = &pr.at[a->klass][a->id];
	bool cleans = destroys(a->thread);
	unsigned number;

	if (pr.resized[a->thread].alive && a->kind != BSCOPE_KIND_RESIZE_END)
		return false;
	if (cleans && a->kind != BSCOPE_KIND_DROP && a->kind != BSCOPE_KIND_MOVE &&
	    a->kind != BSCOPE_KIND_UNBORROW)
		return false;
	if (a->kind <= BSCOPE_KIND_RESIZE_END)
		return life(a, o, cleans);
	if (a->kind == BSCOPE_KIND_REGION_EXIT)
		return leave_region(a->thread);
	if (a->kind == BSCOPE_KIND_REGION_ENTER) {
		if (pr.depth[a->thread] == DEPTH)
			return false;
		pr.region[a->thread][pr.depth[a->thread]++] = ++pr.regions;
		return true;
	}
	if (!o->alive)
		return false;
	switch (a->kind) {
	case BSCOPE_KIND_RETAIN:
	case BSCOPE_KIND_RELEASE:
		if (!o->refs || (a->kind == BSCOPE_KIND_RELEASE && o->refs == 1 && is_borrowed(o)))
			return false;
		o->counted = true;
		o->refs += a->kind == BSCOPE_KIND_RETAIN ? 1 : -1u;
		return true;
	case BSCOPE_KIND_USE:
		return o->refs && (!o->owner || o->owner == a->by || o->levels[a->by]);
	case BSCOPE_KIND_MOVE:
		if (!o->refs || !by_number(a, o, &number) ||
		    (cleans && (number || !owned_by_destroyed(o, a->thread))))
			return false;
		o->owner = a->by;
		o->owner_number = number;
		o->moved = true;
		return true;
	case BSCOPE_KIND_UNBORROW:
		return unborrow(a, o, cleans);
	default:
		return borrow(a, o);
	}
}

/* --- what is done ------------------------------------------------------------------------------
 */

static struct habits {
	unsigned weight[BSCOPE_KIND_END], threads, classes, ids, most, by_ids, stays;
} habits;

static void habits_draw(void)
{
	static const unsigned usual[BSCOPE_KIND_END] = {
		[BSCOPE_KIND_NEW] = 6,		 [BSCOPE_KIND_DROP] = 8,
		[BSCOPE_KIND_RESIZE_BEGIN] = 10, [BSCOPE_KIND_MOVE] = 6,
		[BSCOPE_KIND_BORROW] = 7,	 [BSCOPE_KIND_BORROW_MUT] = 4,
		[BSCOPE_KIND_UNBORROW] = 6,	 [BSCOPE_KIND_RETAIN] = 3,
		[BSCOPE_KIND_RELEASE] = 9,	 [BSCOPE_KIND_USE] = 8,
		[BSCOPE_KIND_REGION_ENTER] = 4,	 [BSCOPE_KIND_REGION_EXIT] = 5,
	};

	for (unsigned i = 0; i < BSCOPE_KIND_END; i++)
		habits.weight[i] = usual[i] * (1 + below(8));
	if (below(2))
		habits.weight[BSCOPE_KIND_REGION_ENTER] = 0;
	habits.threads = 2 + below(THREADS - 2);
	habits.classes = 1 + below(CLASSES);
	habits.ids = 2 + below(IDS - 1);
	habits.most = 2 + below(3);
	habits.by_ids = below(4);
	habits.stays = below(4);
}

static unsigned kind_draw(unsigned thread)
{
	unsigned sum = 0, kind = 0, at;

	if (pr.resized[thread].alive)
		return BSCOPE_KIND_RESIZE_END;
	for (unsigned i = 0; i < BSCOPE_KIND_END; i++)
		sum += habits.weight[i];
	for (at = below(sum); at >= habits.weight[kind]; kind++)
		at -= habits.weight[kind];
	return kind;
}

/* Of those that are in a resize or destroyed, too: each has an id to come back to. */
static bool is_crowded(unsigned klass)
{
	unsigned n = 0;

	for (unsigned i = 0; i < IDS; i++)
		n += pr.at[klass][i].alive || pr.destructor[klass][i].busy;
	for (unsigned t = 0; t < THREADS; t++)
		n += pr.resized[t].alive && pr.resized_klass[t] == klass;
	return n >= habits.most || n >= habits.ids;
}

static bool draw(struct action *a, const struct action *last)
{
	const struct hold *h = &pr.holds[below(HOLDS)];
	const struct object *o;

	*a = (struct action){.thread = below(habits.threads),
			     .klass = 1 + below(habits.classes),
			     .id = below(habits.ids)};
	a->kind = kind_draw(a->thread);
	if (last->klass && below(4) < habits.stays) {
		a->klass = last->klass;
		a->id = last->id;
	}
	if (a->kind == BSCOPE_KIND_RESIZE_END)
		a->klass = pr.resized_klass[a->thread];
	if (a->kind == BSCOPE_KIND_NEW && is_crowded(a->klass))
		return false;
	if (a->kind == BSCOPE_KIND_UNBORROW) {
		o = h->n ? object_of(h->of) : NULL;
		for (unsigned k = 1; o && k <= CLASSES; k++)
			if (o >= pr.at[k] && o < pr.at[k] + IDS) {
				a->klass = k;
				a->id = (unsigned)(o - pr.at[k]);
			}
		a->by = h->by;
		a->by_klass = h->holder_klass;
		return o;
	}
	if (below(4) < habits.by_ids) {
		a->by = BY_ID + below(habits.ids);
		a->by_klass = 1 + below(habits.classes);
	} else if (a->kind == BSCOPE_KIND_MOVE) {
		a->by = BY_NUMBER + below(4);
	} else {
		a->by = below(3) ? a->thread : below(habits.threads);
	}
	if (a->kind == BSCOPE_KIND_USE && pr.at[a->klass][a->id].owner && below(2))
		a->by = pr.at[a->klass][a->id].owner;
	return true;
}

static uint64_t id_of(unsigned id)
{
	return 0x10000u * (1 + id);
}

static struct bs_event mark_of(const struct action *a, uint64_t ts_ns)
{
	bool bytes = a->kind == BSCOPE_KIND_NEW || a->kind == BSCOPE_KIND_RESIZE_END;
	bool region = a->kind >= BSCOPE_KIND_REGION_ENTER;

	return (struct bs_event){
		.ts_ns = ts_ns,
		.id = region ? 0x900000u + a->thread : id_of(a->id),
		.arg = bytes				     ? 64
		       : a->by >= BY_ID && a->by < BY_NUMBER ? id_of(a->by - BY_ID)
							     : 1 + a->by,
		.pid = PID,
		.tid = a->thread,
		.place = 16 * a->klass + a->kind,
		.klass_id = region ? (uint32_t)REQ : a->klass,
		.type = BS_EVENT_MARK,
		.kind = (uint8_t)a->kind,
		.has = bytes ? BS_EVENT_HAS_BYTES : BS_EVENT_HAS_OTHER,
	};
}

/* Stamps are so much too early or too late, pauses make that what was so close is not held back. */
static void round_of(bool late, bool lossy)
{
	static struct bs_event v[MARKS];
	unsigned skew = below(2) ? 250 : BS_MODEL_SKEW_NS / 2, gap = below(3) ? 290 : 40;
	unsigned pause = below(3) ? 0 : 10 + below(60), unseen = late ? below(MARKS / 2) : 0;
	uint64_t last_ns[THREADS] = {0}, t = 100000;
	struct action a, last = {0};
	size_t n = 0;

	memset(&pr, 0, sizeof(pr));
	habits_draw();
	model_new();
	if (!late)
		started();
	for (unsigned tries = 0; n < MARKS && tries < 300 * MARKS; tries++) {
		if (!draw(&a, &last) || !act(&a))
			continue;
		destructors_end();
		last = a;
		t += 10 + below(gap);
		if (pause && !below(pause))
			t += 3 * US + below(6000);
		v[n] = mark_of(&a, t + below(2 * skew + 1) - skew);
		if (v[n].ts_ns < last_ns[a.thread])
			v[n].ts_ns = last_ns[a.thread];
		last_ns[a.thread] = v[n].ts_ns;
		if (unseen)
			unseen--;
		else
			n++;
	}
	order_by_stamps(v, n);
	hand_on(v, n, lossy);
	now = t + 2 * US;
	for (unsigned i = 0; i < THREADS; i++) {
		const struct bs_event killed = {
			.ts_ns = now, .pid = PID, .tid = i, .type = BS_EVENT_KILLED};

		if (destroys(i))
			assert_int_equal(bs_model_event(m, &killed), 0);
	}
	exits();
	NOTHING();
	model_adds_up();
	bs_model_free(m);
}

static void objects_of_one_id_are_left_alone(void **state)
{
	(void)state;
	for (unsigned round = 0; round < ROUNDS; round++) {
		seed = round * 0x9e3779b97f4a7c15ull + 9;
		round_of(false, false);
		round_of(true, false);
		round_of(false, true);
		round_of(true, true);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(objects_of_one_id_are_left_alone)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
