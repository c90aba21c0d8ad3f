/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * test_verdict_random.c - a correct program, seen through clocks that differ, is accused of
 * nothing; any history, of exactly what a plain reference says, and of no more when some of it is
 * lost, or only some of its objects are followed.
 */
#include "verdict_check.h"

#include "base/sample.h"

/* --- a correct program, seen through clocks that differ --------------------------------------- */

static uint64_t seed;

static uint32_t below(uint32_t n)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return (uint32_t)((seed * 0x2545f4914f6cdd1dull) >> 33) % n;
}

/* --- which objects are followed, as a runtime does it (include/bscope/follow.h) --------------- */

enum { F_IDS = 16, F_THREADS = 8 };

enum { ABSENT, FALLEN, FOLLOWED };
static int followed[CLASSES + 1][F_IDS];
static uint64_t follow_resizes[F_THREADS];
static unsigned follow_mean;
/* By thread and class: births up to the one of the block that is followed, and behind it. */
static unsigned follow_blocks[F_THREADS][CLASSES + 1][2];

enum { MARK = 1, FORGET = 2 };

static void follow_begin(unsigned mean)
{
	memset(followed, 0, sizeof(followed));
	memset(follow_resizes, 0, sizeof(follow_resizes));
	memset(follow_blocks, 0, sizeof(follow_blocks));
	follow_mean = mean;
}

/* One of each block, in any place. */
static bool follow_chosen(unsigned thread, unsigned klass)
{
	unsigned *b = follow_blocks[thread][klass], place;

	if (!b[0]) {
		place = below(follow_mean);
		b[0] = b[1] + place + 1;
		b[1] = follow_mean - 1 - place;
	}
	return !--b[0];
}

static int follow_birth(int *state, bool chosen)
{
	bool alive = *state == FOLLOWED;

	*state = ABSENT;
	if (!chosen)
		return alive ? FORGET : 0;
	/* Now and then there is no room in the table. */
	if (!alive && !below(20))
		return MARK | FORGET;
	*state = FOLLOWED;
	return MARK;
}

/* What is recorded of this mark. */
static int follow(const struct bs_event *ev)
{
	int *state = &followed[ev->klass_id][ev->id / 0x10000];
	uint64_t *resizes = &follow_resizes[ev->tid];
	bool alive = *state == FOLLOWED, was;

	switch (ev->kind) {
	case BSCOPE_KIND_NEW:
		return follow_birth(state, follow_chosen(ev->tid, ev->klass_id));
	case BSCOPE_KIND_RESIZE_BEGIN:
		*resizes = *resizes << 1 | alive;
		break;
	case BSCOPE_KIND_RESIZE_END:
		was = *resizes & 1;
		*resizes >>= 1;
		return follow_birth(state, was);
	case BSCOPE_KIND_REGION_ENTER:
	case BSCOPE_KIND_REGION_EXIT:
		return MARK;
	}
	/* One that is dead may have had to make room. */
	if (*state == FALLEN && !below(10))
		*state = ABSENT;
	was = *state != ABSENT;
	if (alive && (ev->kind == BSCOPE_KIND_DROP || ev->kind == BSCOPE_KIND_RESIZE_BEGIN))
		*state = FALLEN;
	return was ? MARK : 0;
}

static struct bs_event forgotten(const struct bs_event *ev)
{
	return (struct bs_event){.ts_ns = ev->ts_ns,
				 .id = ev->id,
				 .pid = ev->pid,
				 .tid = ev->tid,
				 .place = ev->place,
				 .klass_id = ev->klass_id,
				 .type = BS_EVENT_FORGOTTEN};
}

static void model_sample(unsigned mean)
{
	const struct bs_sample sample = {BS_SAMPLE_OBJECTS, mean, 0};

	assert_int_equal(bs_model_sample(m, 1000, &sample), 0);
}

/* Every object is somewhere. */
static void model_adds_up(void)
{
	struct bs_model_totals t;

	bs_model_totals(m, &t);
	assert_int_equal(t.created + t.adopted, t.dropped + t.vanished + t.live + t.exited);
}

enum { OBJECTS = 6, THREADS = 5, EVENTS = 4000, IDS = 8 };

struct object {
	bool alive, counted;
	unsigned id, from; /* numbers of ids; from: before the resize that is under way */
	int resizer;	   /* the thread, or -1 */
	unsigned refs;
	unsigned shared[THREADS]; /* borrow levels by thread */
	int exclusive;		  /* the thread, or -1 */
	uint64_t owner;
};

struct stamped {
	struct bs_event ev;
	size_t n;
};

static int stamped_cmp(const void *x, const void *y)
{
	const struct stamped *a = x, *b = y;

	if (a->ev.ts_ns != b->ev.ts_ns)
		return a->ev.ts_ns < b->ev.ts_ns ? -1 : 1;
	return (a->n > b->n) - (a->n < b->n);
}

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

	for (unsigned i = 0; i < THREADS; i++)
		borrowed |= o->shared[i];
	*arg = 1 + t;
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
		if (!o->refs || (o->exclusive >= 0 && o->exclusive != (int)t) || o->exclusive >= 0)
			return 0;
		o->shared[t]++;
		return BSCOPE_KIND_BORROW;
	case 4:
		if (!o->refs || borrowed)
			return 0;
		o->exclusive = (int)t;
		return BSCOPE_KIND_BORROW_MUT;
	case 5:
	case 6:
		if (o->exclusive == (int)t)
			o->exclusive = -1;
		else if (o->shared[t])
			o->shared[t]--;
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

/*
 * Hands them on, but for some in a row now and then, which is said some time after the last one:
 * who finds a loss does not know when it was.
 */
static void hand_on(const struct stamped *v, size_t n, bool lossy)
{
	size_t lost = 0;

	for (size_t i = 0; i < n; i++) {
		if (lossy && !lost && !below(200))
			lost = 2 + below(60);
		if (lost > 1) {
			lost--;
			continue;
		}
		if (lost)
			bs_model_loss(m, v[i].ev.ts_ns + BS_MODEL_SKEW_NS, 1);
		lost = 0;
		assert_int_equal(bs_model_event(m, &v[i].ev), 0);
	}
}

/*
 * Marks 50 to 300 ns apart, stamped up to a quarter of a microsecond too early or too late.
 * sampled: of some objects only.  late: tracing begins in the middle.  lossy: some are lost.
 */
static void correct_rounds(bool sampled, bool late, bool lossy)
{
	/* Found wrong, with one of these. */
	static const unsigned rare[] = {1980, 3009, 3172, 4816, 6364, 11531};

	for (unsigned i = 0; i < 300 + sizeof(rare) / sizeof(rare[0]); i++) {
		unsigned round = i < 300 ? i : rare[i - 300];
		struct stamped *v = calloc(2 * EVENTS, sizeof(*v));
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
			ts = t + below(2 * 250 + 1) - 250;
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
			if (what & MARK) {
				v[n].n = n;
				v[n++].ev = ev;
			}
			if (what & FORGET) {
				v[n].n = n;
				v[n++].ev = forgotten(&ev);
			}
		}
		qsort(v, n, sizeof(*v), stamped_cmp);
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

/* --- random histories against a plain reference ------------------------------------------------
 */

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

static void ref_holder_gone(int self, size_t n, uint32_t tid)
{
	for (unsigned k = 1; k <= CLASSES; k++)
		for (unsigned i = 0; i < R_IDS; i++) {
			struct ref_object *o = &ref[k][i];

			if (o->move && o->owner_is == self && !o->orphaned)
				o->orphaned = n;
			for (unsigned h = 0; h < o->nholds; h++)
				if (o->holds[h].holder == self) {
					o->holds[h].holder = -1;
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
		cmocka_unit_test(a_correct_program_is_left_alone),
		cmocka_unit_test(a_correct_program_is_left_alone_sampled),
		cmocka_unit_test(random_histories),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
