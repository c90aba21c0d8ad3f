/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * test_verdict_random.c - any history is found to have exactly what a plain reference says is wrong
 * with it, and no more when some of it is lost, or only some of its objects are followed.
 */
#include "verdict_random.h"

enum { R_IDS = 5, R_THREADS = 3, R_BY = 4, R_EVENTS = 400, R_ROWS = 4000 };

struct ref_hold {
	uint64_t by;
	size_t since;
	unsigned levels, exclusive;
	int holder; /* object that it is, -1: none */
	size_t orphaned;
	uint32_t orphaned_by;
};

/* One (class, id).  Numbers of events are from 1; 0 is none. */
struct ref_object {
	enum { UNKNOWN, ALIVE, DEAD } state;
	size_t since; /* its new, or drop */
	int refs;
	bool counted, moved;
	size_t move;
	uint64_t owner;
	int owner_is;
	size_t orphaned;
	struct ref_hold holds[8];
	unsigned nholds;
	bool whole; /* known since its new when it was dropped */
	uint32_t maker;
	unsigned depth; /* of regions, when it was made */
};

static struct ref_object ref[CLASSES + 1][R_IDS];
static struct {
	uint64_t id;
	uint32_t klass;
	bool unsure;
} ref_regions[R_THREADS][64];
static unsigned ref_nregions[R_THREADS];
static struct want ref_rows[R_ROWS];
static size_t ref_n;

static void ref_row(enum bs_verdict verdict, size_t at, size_t since)
{
	assert_true(ref_n < R_ROWS);
	ref_rows[ref_n++] = (struct want){verdict, (uint32_t)at, (uint32_t)since};
}

/* The tracked object that a value is, as class * R_IDS + id; -1: none, or not sure. */
static int ref_tracked(uint64_t value)
{
	int found = -1;

	for (int k = 1; k <= CLASSES; k++)
		for (int i = 0; i < R_IDS; i++)
			if (value == 0x10000u * (i + 1u) && ref[k][i].state == ALIVE) {
				if (found >= 0)
					return -1;
				found = k * R_IDS + i;
			}
	return found;
}

static struct ref_hold *ref_hold(struct ref_object *o, uint64_t by)
{
	for (unsigned i = 0; i < o->nholds; i++)
		if (o->holds[i].by == by)
			return &o->holds[i];
	return NULL;
}

/* Is another alive of that id, then nobody knows whose it was. */
static void ref_holder_gone(int self, size_t n, uint32_t tid)
{
	bool alone = ref_tracked(0x10000u * ((unsigned)self % R_IDS + 1u)) == self;

	for (unsigned k = 1; k <= CLASSES; k++)
		for (unsigned i = 0; i < R_IDS; i++) {
			struct ref_object *o = &ref[k][i];

			if (o->move && o->owner_is == self) {
				o->owner_is = -1;
				if (alone)
					o->orphaned = n;
			}
			for (unsigned h = 0; h < o->nholds; h++)
				if (o->holds[h].holder == self) {
					o->holds[h].holder = -1;
					if (!alone)
						continue;
					o->holds[h].orphaned = n;
					o->holds[h].orphaned_by = tid;
				}
		}
}

static void ref_borrow(struct ref_object *o, const struct bs_event *ev, size_t n, bool exclusive)
{
	struct ref_hold *h = ref_hold(o, ev->arg);

	for (unsigned i = 0; i < o->nholds; i++)
		if (o->holds[i].by != ev->arg && (exclusive || o->holds[i].exclusive)) {
			ref_row(BS_VERDICT_CONFLICTING_BORROW, n, o->holds[i].since);
			break;
		}
	if (!h) {
		assert_true(o->nholds < 8);
		h = &o->holds[o->nholds++];
		*h = (struct ref_hold){.by = ev->arg, .since = n, .holder = ref_tracked(ev->arg)};
	}
	/* One more, by another one of that id, perhaps: whose are those that are left? */
	if (ref_tracked(ev->arg) != h->holder)
		h->holder = -1;
	h->orphaned = 0;
	h->levels++;
	if (exclusive && !h->exclusive)
		h->exclusive = h->levels;
}

static void ref_outlives(struct ref_hold *h)
{
	if (h->orphaned)
		ref_row(BS_VERDICT_BORROW_OUTLIVES_OWNER, h->orphaned, h->since);
	h->orphaned = 0;
}

static void ref_unborrow(struct ref_object *o, uint64_t by, uint32_t tid)
{
	struct ref_hold *h = ref_hold(o, by);

	if (!h)
		return;
	if (--h->levels < h->exclusive)
		h->exclusive = 0;
	if (!h->levels) {
		if (tid != h->orphaned_by)
			ref_outlives(h);
		o->nholds--;
		memmove(h, h + 1, (size_t)(&o->holds[o->nholds] - h) * sizeof(*h));
	}
}

static void ref_drop(struct ref_object *o, int self, size_t n, uint32_t tid)
{
	if (o->state == DEAD) {
		ref_row(BS_VERDICT_DOUBLE_DROP, n, o->since);
		o->since = n;
		o->whole = false;
		return;
	}
	if (o->nholds)
		ref_row(BS_VERDICT_DROP_WHILE_BORROWED, n, o->holds[0].since);
	if (o->state == ALIVE && o->counted && o->refs != 0)
		ref_row(BS_VERDICT_UNBALANCED_COUNT, n, o->since);
	if (o->state == ALIVE)
		ref_holder_gone(self, n, tid);
	o->whole = o->state == ALIVE;
	/* Borrows remain until they end, as nobody's. */
	for (unsigned i = 0; i < o->nholds; i++) {
		ref_outlives(&o->holds[i]);
		o->holds[i].holder = -1;
	}
	o->move = o->orphaned = 0;
	o->owner_is = -1;
	o->state = DEAD;
	o->since = n;
}

static void ref_region_exit(const struct bs_event *ev, size_t n)
{
	unsigned t = ev->tid, d = ref_nregions[t];

	while (d &&
	       (ref_regions[t][d - 1].id != ev->id || ref_regions[t][d - 1].klass != ev->klass_id))
		d--;
	if (!d) {
		/* Perhaps one around these, entered unseen. */
		for (d = 0; d < ref_nregions[t]; d++)
			ref_regions[t][d].unsure = true;
		return;
	}
	for (unsigned k = 1; k <= CLASSES; k++)
		for (unsigned i = 0; i < R_IDS; i++) {
			struct ref_object *o = &ref[k][i];

			if (o->state != ALIVE || o->maker != t || o->depth < d)
				continue;
			if (o->depth == d && !ref_regions[t][d - 1].unsure && !o->moved &&
			    !o->counted)
				ref_row(BS_VERDICT_LEAK, n, o->since);
			o->depth = 0; /* belongs to no region any more */
		}
	ref_nregions[t] = d - 1;
}

static void ref_event(const struct bs_event *ev, size_t n)
{
	unsigned i = (unsigned)(ev->id / 0x10000) - 1;
	struct ref_object *o = &ref[ev->klass_id][i];
	int self = (int)(ev->klass_id * R_IDS + i);
	unsigned t = ev->tid;

	if (ev->kind == BSCOPE_KIND_REGION_ENTER) {
		ref_regions[t][ref_nregions[t]].id = ev->id;
		ref_regions[t][ref_nregions[t]].klass = ev->klass_id;
		ref_regions[t][ref_nregions[t]].unsure = false;
		ref_nregions[t]++;
		return;
	}
	if (ev->kind == BSCOPE_KIND_REGION_EXIT) {
		ref_region_exit(ev, n);
		return;
	}
	if (ev->kind == BSCOPE_KIND_NEW) {
		memset(o, 0, sizeof(*o));
		*o = (struct ref_object){.state = ALIVE,
					 .since = n,
					 .refs = 1,
					 .owner_is = -1,
					 .maker = t,
					 .depth = ref_nregions[t]};
		return;
	}
	if (ev->kind == BSCOPE_KIND_DROP) {
		ref_drop(o, self, n, ev->tid);
		return;
	}
	if (o->state == DEAD) {
		if (ev->kind == BSCOPE_KIND_UNBORROW && ref_hold(o, ev->arg))
			ref_unborrow(o, ev->arg, ev->tid);
		/* Of one that nobody knew, it is not known either who borrowed it. */
		else if (ev->kind != BSCOPE_KIND_UNBORROW || o->whole)
			ref_row(BS_VERDICT_USE_AFTER_DROP, n, o->since);
		return;
	}
	switch (ev->kind) {
	case BSCOPE_KIND_RETAIN:
	case BSCOPE_KIND_RELEASE:
		o->counted = true;
		o->refs += ev->kind == BSCOPE_KIND_RETAIN ? 1 : -1;
		break;
	case BSCOPE_KIND_MOVE:
		o->moved = true;
		o->move = n;
		o->owner = ev->arg;
		o->owner_is = ref_tracked(ev->arg);
		o->orphaned = 0;
		break;
	case BSCOPE_KIND_BORROW:
	case BSCOPE_KIND_BORROW_MUT:
		ref_borrow(o, ev, n, ev->kind == BSCOPE_KIND_BORROW_MUT);
		break;
	case BSCOPE_KIND_UNBORROW:
		ref_unborrow(o, ev->arg, ev->tid);
		break;
	case BSCOPE_KIND_USE:
		/* Of one that nobody knew, it is not known either who borrows it. */
		if (o->state == ALIVE && o->move && o->owner != ev->arg && !ref_hold(o, ev->arg))
			ref_row(BS_VERDICT_USE_AFTER_MOVE, n, o->move);
		break;
	}
}

static struct bs_event ref_random(size_t n, uint64_t ts)
{
	static const uint8_t kinds[] = {
		BSCOPE_KIND_NEW,	  BSCOPE_KIND_NEW,	   BSCOPE_KIND_NEW,
		BSCOPE_KIND_DROP,	  BSCOPE_KIND_DROP,	   BSCOPE_KIND_MOVE,
		BSCOPE_KIND_BORROW,	  BSCOPE_KIND_BORROW_MUT,  BSCOPE_KIND_UNBORROW,
		BSCOPE_KIND_UNBORROW,	  BSCOPE_KIND_UNBORROW,	   BSCOPE_KIND_RETAIN,
		BSCOPE_KIND_RELEASE,	  BSCOPE_KIND_RELEASE,	   BSCOPE_KIND_USE,
		BSCOPE_KIND_REGION_ENTER, BSCOPE_KIND_REGION_EXIT, BSCOPE_KIND_REGION_EXIT};
	struct bs_event ev = {
		.ts_ns = ts,
		.id = 0x10000u * (1 + below(R_IDS)),
		.pid = PID,
		.tid = below(R_THREADS),
		.place = (uint32_t)n,
		.klass_id = 1 + below(CLASSES),
		.type = BS_EVENT_MARK,
		.kind = kinds[below(sizeof(kinds))],
	};

	/* Somebody, or an object. */
	ev.arg = below(2) ? 1 + below(R_BY) : 0x10000u * (1 + below(R_IDS));
	if (ev.kind == BSCOPE_KIND_NEW)
		ev.arg = 64;
	return ev;
}

static int want_cmp(const void *x, const void *y)
{
	return memcmp(x, y, sizeof(struct want));
}

/* Of several borrows in force another may be the oldest that was seen. */
static bool ref_has(const struct bs_verdict_row *row)
{
	bool any = row->verdict == BS_VERDICT_DROP_WHILE_BORROWED ||
		   row->verdict == BS_VERDICT_CONFLICTING_BORROW;

	for (size_t i = 0; i < ref_n; i++)
		if (ref_rows[i].verdict == row->verdict && ref_rows[i].at == row->at &&
		    (any || ref_rows[i].since == row->since))
			return true;
	return false;
}

/*
 * Of a history only objects that are followed, and of these sites that are lit, and not what is
 * lost (one event in so many; 0: none): nothing that is not among the rows of all of it.
 */
static size_t thinned(const struct bs_event *v, unsigned mean, unsigned lossy, bool filtered)
{
	bool dark[CLASSES + 1][BSCOPE_KIND_END] = {{false}};
	uint64_t lost_ns = 0;
	struct bs_verdict_row *rows;
	size_t found;

	model_new();
	if (below(2))
		started();
	follow_begin(mean);
	if (mean > 1)
		model_sample(mean);
	for (uint32_t k = 1; filtered && k <= CLASSES; k++)
		/* An unseen region would only put a leak into the one around it. */
		for (unsigned kind = 1; kind < BSCOPE_KIND_REGION_ENTER; kind++)
			if (!below(12)) {
				dark[k][kind] = true;
				assert_int_equal(bs_model_class(m, k, false, UINT64_MAX), 0);
			}
	for (size_t i = 0; i < R_EVENTS; i++) {
		struct bs_event ev[2] = {v[i], forgotten(&v[i])};
		int what = MARK;

		if (dark[v[i].klass_id][v[i].kind])
			continue;
		if (mean > 1)
			what = follow(&v[i]);
		for (int k = 0; k < 2; k++) {
			if (!(what & (k ? FORGET : MARK)))
				continue;
			if (lossy && !below(lossy)) {
				lost_ns = v[i].ts_ns;
				continue;
			}
			if (lost_ns)
				bs_model_loss(m, lost_ns, 1);
			lost_ns = 0;
			assert_int_equal(bs_model_event(m, &ev[k]), 0);
		}
	}
	if (lost_ns)
		bs_model_loss(m, lost_ns, 1);
	now = v[R_EVENTS - 1].ts_ns;
	exits();
	assert_int_equal(bs_model_end(m), 0);
	assert_int_equal(bs_model_verdicts(m, &rows, &found), 0);
	for (size_t i = 0; i < found; i++)
		assert_true(ref_has(&rows[i]));
	model_adds_up();
	free(rows);
	bs_model_free(m);
	return found;
}

static void random_histories(void **state)
{
	static struct bs_event v[R_EVENTS];
	size_t found_all = 0, found_lossy = 0, found_sampled = 0;

	(void)state;
	for (unsigned round = 0; round < 10000; round++) {
		struct bs_verdict_row *rows;
		uint64_t ts = 1000000;
		struct want *got;
		size_t n;

		seed = round * 0x9e3779b97f4a7c15ull + 77;
		memset(ref, 0, sizeof(ref));
		memset(ref_nregions, 0, sizeof(ref_nregions));
		for (unsigned k = 1; k <= CLASSES; k++)
			for (unsigned i = 0; i < R_IDS; i++)
				ref[k][i].owner_is = -1;
		ref_n = 0;
		for (size_t i = 0; i < R_EVENTS; i++) {
			v[i] = ref_random(i + 1, ts += 4001 + below(5000));
			ref_event(&v[i], i + 1);
		}
		for (unsigned k = 1; k <= CLASSES; k++)
			for (unsigned i = 0; i < R_IDS; i++)
				for (unsigned h = 0; h < ref[k][i].nholds; h++)
					ref_outlives(&ref[k][i].holds[h]);
		for (unsigned k = 1; k <= CLASSES; k++)
			for (unsigned i = 0; i < R_IDS; i++)
				if (ref[k][i].state == ALIVE && ref[k][i].orphaned)
					ref_row(BS_VERDICT_LEAK, ref[k][i].orphaned,
						ref[k][i].move);

		/* All of it, one by one: exactly that. */
		model_new();
		started();
		for (size_t i = 0; i < R_EVENTS; i++)
			assert_int_equal(bs_model_event(m, &v[i]), 0);
		now = ts;
		exits();
		assert_int_equal(bs_model_end(m), 0);
		assert_int_equal(bs_model_verdicts(m, &rows, &n), 0);
		got = calloc(n + 1, sizeof(*got));
		assert_non_null(got);
		for (size_t i = 0; i < n; i++)
			got[i] = (struct want){rows[i].verdict, rows[i].at, rows[i].since};
		qsort(got, n, sizeof(*got), want_cmp);
		qsort(ref_rows, ref_n, sizeof(*ref_rows), want_cmp);
		assert_int_equal(n, ref_n);
		assert_memory_equal(got, ref_rows, n * sizeof(*got));
		found_all += n;
		free(got);
		free(rows);
		bs_model_free(m);

		/* Some of it is not seen: nothing that is not among those. */
		found_lossy += thinned(v, 1, 1 + round % 100, false);
		thinned(v, 1, 0, true);
		found_sampled += thinned(v, 2 + round % 3, 0, false);
		thinned(v, 2 + round % 3, 1 + round % 100, false);
		thinned(v, 2, 0, true);
		thinned(v, 2, 20 + round % 100, true);
	}
	assert_true(found_all > 100000 && found_lossy > 10000 && found_sampled > 10000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(random_histories),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
