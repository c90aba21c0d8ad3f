// SPDX-License-Identifier: GPL-2.0-only
/*
 * test_lockorder_random.c - a correct program, seen through clocks that differ, has no cycles of
 * locks; random histories have those that a plain reference finds.
 */
#include "lockorder_check.h"

static uint64_t seed;

static uint32_t below(uint32_t n)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return (uint32_t)((seed * 0x2545f4914f6cdd1dull) >> 33) % n;
}

/* --- a correct program, seen through clocks that differ --------------------------------------- */

enum { C_THREADS = 4, C_MARKS = 2000 };

/* Under the gate A and B in any order, else C before D. */
struct worker {
	uint64_t want[3]; /* what it takes, one in the other */
	unsigned nwant, nheld;
	bool back; /* it gives them back */
};

static int stamp_cmp(const void *x, const void *y)
{
	const struct bs_event *a = x, *b = y;

	/* Equal stamps: in the order in which they came; `code` is no caller here. */
	if (a->ts_ns != b->ts_ns)
		return a->ts_ns < b->ts_ns ? -1 : 1;
	return (a->code > b->code) - (a->code < b->code);
}

static void correct_round(void)
{
	static struct bs_event v[C_MARKS];
	struct worker w[C_THREADS] = {0};
	uint64_t last[C_THREADS] = {0}, t = 1000000;
	bool taken[G / A + 1] = {false};
	size_t n = 0;

	while (n < C_MARKS) {
		unsigned thread = below(C_THREADS);
		struct worker *x = &w[thread];
		uint64_t lock;

		if (!x->nheld) {
			bool gate = below(2), swap = below(2);

			*x = (struct worker){.nwant = gate ? 3 : 2};
			x->want[0] = gate ? G : C;
			x->want[1] = gate ? (swap ? B : A) : D;
			x->want[2] = swap ? A : B;
		}
		/* The gate is given back first, sometimes. */
		if (x->back && x->nheld == 3 && below(2)) {
			lock = x->want[0];
			x->want[0] = x->want[2];
		} else {
			lock = x->want[x->back ? x->nheld - 1 : x->nheld];
		}
		if (!x->back && taken[lock / A])
			continue;
		taken[lock / A] = !x->back;
		t += 50 + below(250);
		v[n] = (struct bs_event){
			.ts_ns = t + below(501) - 250,
			.pid = PID,
			.tid = thread + 1,
			.type = BS_EVENT_MARK,
			.kind = x->back ? BSCOPE_KIND_UNBORROW : BSCOPE_KIND_BORROW_MUT,
			.klass_id = MUTEX,
			.id = lock,
			.place = (uint32_t)(1 + lock / A),
			.arg = 0x7f0000000000 + thread,
			.code = (uint32_t)n,
			.has = BS_EVENT_HAS_OTHER | (x->back ? 0 : BS_EVENT_WAITS),
		};
		if (v[n].ts_ns < last[thread])
			v[n].ts_ns = last[thread];
		last[thread] = v[n++].ts_ns;
		x->nheld += x->back ? -1u : 1u;
		if (x->nheld == x->nwant)
			x->back = true;
	}
	qsort(v, n, sizeof(*v), stamp_cmp);
	begin();
	for (size_t i = 0; i < n; i++) {
		v[i].code = 0;
		assert_int_equal(bs_model_event(m, &v[i]), 0);
	}
	now = t;
	end(0, bs_model_undecided(m));
}

static void correct_under_gates(void **state)
{
	(void)state;
	for (unsigned round = 0; round < 2000; round++) {
		seed = round * 0x9e3779b97f4a7c15ull + 3;
		correct_round();
	}
}

/* --- random histories against a plain reference ----------------------------------------------- */

enum { THREADS = 4, LOCKS = 4, STEPS = 300, ORDERS = 4000 };

/* What one thread did: all of it is kept. */
struct order {
	unsigned tid, from, to;
	unsigned held[LOCKS]; /* 0: no, 1: for reading, 2: exclusively */
	unsigned wanted;
	bool valid;
};
static struct order orders[ORDERS];
static unsigned norders;

static unsigned place_of(unsigned tid, unsigned l, unsigned how)
{
	return 1 + (tid * LOCKS + l) * 3 + how;
}

struct key {
	unsigned v[2 * BS_CYCLE_MAX];
};
static struct key found[20000];
static unsigned nfound;

static int key_cmp(const void *x, const void *y)
{
	return memcmp(x, y, sizeof(struct key));
}

/* From the edge with the least places on. */
static struct key key_of(const unsigned (*places)[2], unsigned n)
{
	struct key k = {{0}};
	unsigned first = 0;

	for (unsigned i = 1; i < n; i++)
		if (places[i][0] != places[first][0] ? places[i][0] < places[first][0]
						     : places[i][1] < places[first][1])
			first = i;
	for (unsigned i = 0; i < n; i++) {
		k.v[2 * i] = places[(first + i) % n][0];
		k.v[2 * i + 1] = places[(first + i) % n][1];
	}
	return k;
}

static bool excluded(const struct order *a, const struct order *b)
{
	if (a->tid == b->tid)
		return true;
	for (unsigned l = 0; l < LOCKS; l++)
		if (a->held[l] && b->held[l] && (a->held[l] == 2 || b->held[l] == 2))
			return true;
	return false;
}

static void found_add(const struct order *const *path, unsigned n)
{
	unsigned places[BS_CYCLE_MAX][2];
	struct key k;

	for (unsigned i = 0; i < n; i++) {
		places[i][0] = place_of(path[i]->tid, path[i]->from, path[i]->held[path[i]->from]);
		places[i][1] = place_of(path[i]->tid, path[i]->to, path[i]->wanted);
	}
	k = key_of(places, n);
	for (unsigned i = 0; i < nfound; i++)
		if (!key_cmp(&found[i], &k))
			return;
	assert_true(nfound < sizeof(found) / sizeof(found[0]));
	found[nfound++] = k;
}

static void extend(const struct order **path, unsigned n)
{
	const struct order *last = path[n - 1];

	if (last->to == path[0]->from) {
		if (n > 1 && (last->wanted == 2 || path[0]->held[path[0]->from] == 2))
			found_add(path, n);
		return;
	}
	if (n == BS_CYCLE_MAX)
		return;
	for (unsigned i = 0; i < norders; i++) {
		const struct order *o = &orders[i];
		bool fits = o->valid && o->from == last->to &&
			    (last->wanted == 2 || o->held[o->from] == 2);

		for (unsigned k = 0; k < n && fits; k++)
			fits = !excluded(path[k], o) && o->to != path[k]->to;
		if (!fits)
			continue;
		path[n] = o;
		extend(path, n + 1);
	}
}

static void same_as_found(void)
{
	struct bs_cycle_row *rows;
	struct key *keys;
	size_t n;

	assert_int_equal(bs_model_cycles(m, &rows, &n), 0);
	keys = calloc(n + 1, sizeof(*keys));
	assert_non_null(keys);
	for (size_t i = 0; i < n; i++) {
		unsigned places[BS_CYCLE_MAX][2];

		assert_true(rows[i].count);
		for (unsigned k = 0; k < rows[i].n; k++) {
			const struct bs_cycle_edge *e = &rows[i].edges[k];

			/* What it waits for is what the next one holds. */
			assert_int_equal(e->id, rows[i].edges[(k + 1) % rows[i].n].held_id);
			places[k][0] = e->held_place;
			places[k][1] = e->place;
		}
		keys[i] = key_of(places, rows[i].n);
	}
	qsort(keys, n, sizeof(*keys), key_cmp);
	qsort(found, nfound, sizeof(found[0]), key_cmp);
	assert_int_equal(n, nfound);
	assert_memory_equal(keys, found, n * sizeof(*keys));
	free(keys);
	free(rows);
}

static void history(uint64_t start, bool lives)
{
	unsigned held[THREADS][LOCKS] = {{0}}, levels[THREADS][LOCKS] = {{0}};

	seed = start * 0x9e3779b97f4a7c15ull + 1;
	begin();
	norders = nfound = 0;
	for (unsigned step = 0; step < STEPS; step++) {
		unsigned t = below(THREADS), l = below(LOCKS), how = 1 + below(2), readers = 0,
			 writers = 0;
		uint64_t id = 0x10000 * (l + 1);
		bool waits = below(4);
		struct order o = {.tid = t, .to = l, .wanted = how, .valid = true};

		for (unsigned i = 0; i < THREADS; i++) {
			readers += i != t && held[i][l] == 1;
			writers += i != t && held[i][l] == 2;
		}
		if (lives && !readers && !writers && !held[t][l] && !below(40)) {
			mark(t + 1, below(2) ? BSCOPE_KIND_NEW : BSCOPE_KIND_DROP, RWLOCK, id, 900,
			     false);
			/* What comes next is of this one, for certain. */
			now += US;
			for (unsigned i = 0; i < norders; i++)
				if (orders[i].from == l || orders[i].to == l)
					orders[i].valid = false;
			continue;
		}
		if (held[t][l] && below(3)) {
			mark(t + 1, BSCOPE_KIND_UNBORROW, RWLOCK, id, 901, false);
			if (!--levels[t][l])
				held[t][l] = 0;
			continue;
		}
		/* Again only as it is held: a reader that becomes a writer would wait for itself.
		 */
		if (writers || (how == 2 && readers) || (held[t][l] && held[t][l] != how))
			continue;
		mark(t + 1, how == 2 ? BSCOPE_KIND_BORROW_MUT : BSCOPE_KIND_BORROW, RWLOCK, id,
		     place_of(t, l, how), waits);
		for (unsigned from = 0; from < LOCKS && waits && !held[t][l]; from++) {
			const struct order *path[BS_CYCLE_MAX];

			if (!held[t][from])
				continue;
			memcpy(o.held, held[t], sizeof(o.held));
			o.from = from;
			assert_true(norders < ORDERS);
			orders[norders++] = o;
			path[0] = &orders[norders - 1];
			extend(path, 1);
		}
		held[t][l] = how;
		levels[t][l]++;
	}
	same_as_found();
	end(nfound, 0);
}

static void as_the_reference(void **state)
{
	unsigned with = 0, sum = 0;

	(void)state;
	for (unsigned i = 0; i < 400; i++) {
		history(i, i % 2);
		with += nfound > 0;
		sum += nfound;
	}
	/* The comparison is of something, and not always of everything. */
	assert_in_range(with, 100, 400);
	assert_true(sum > 1000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(correct_under_gates),
		cmocka_unit_test(as_the_reference),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
