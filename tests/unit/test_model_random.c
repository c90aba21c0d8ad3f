/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * test_model_random.c - random histories against a second model that is a list of objects and the
 * rules of model.h, written down as plainly as possible.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "bscope/abi.h"
#include "model/model.h"

static uint64_t seed;
static uint64_t rnd(void)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return seed * 0x2545f4914f6cdd1dull;
}

static uint32_t below(uint32_t n)
{
	return (uint32_t)(rnd() % n);
}

enum state { ALIVE, RESIZING, RESIZING_UNKNOWN, DROPPED, LOST, EXITED };

/* Every object that ever was, in the order in which it became known. */
struct thing {
	enum state state;
	uint32_t pid, klass, place, code, resizer;
	uint64_t id, bytes, birth, begun, end;
	bool adopted;
};

static struct thing *things;
static size_t nthings;
static uint64_t unknown[8], created_at[256][8], begins;

#define PIDS	4u
#define TIDS	3u
#define CLASSES 3u
#define CODES	3u

static struct thing *add(enum state state, const struct bs_event *e)
{
	struct thing *t;

	things = realloc(things, (nthings + 1) * sizeof(*things));
	assert_non_null(things);
	t = &things[nthings++];
	*t = (struct thing){.state = state,
			    .pid = e->pid,
			    .klass = e->klass_id,
			    .place = e->place,
			    .code = e->code,
			    .id = e->id,
			    .bytes = e->has & BS_EVENT_HAS_BYTES ? e->arg : 0,
			    .birth = e->ts_ns};
	return t;
}

static struct thing *alive(const struct bs_event *e)
{
	for (size_t i = 0; i < nthings; i++) {
		struct thing *t = &things[i];

		if (t->state == ALIVE && t->pid == e->pid && t->klass == e->klass_id &&
		    t->id == e->id)
			return t;
	}
	return NULL;
}

static struct thing *resizing(const struct bs_event *e, bool same_id)
{
	struct thing *best = NULL;

	for (size_t i = 0; i < nthings; i++) {
		struct thing *t = &things[i];

		if ((t->state != RESIZING && t->state != RESIZING_UNKNOWN) || t->pid != e->pid ||
		    t->klass != e->klass_id || t->resizer != e->tid)
			continue;
		if (same_id && t->id != e->id)
			continue;
		if (!best || t->begun > best->begun)
			best = t;
	}
	return best;
}

static void displace(const struct bs_event *e)
{
	struct thing *t = alive(e);

	if (t) {
		t->state = LOST;
		unknown[e->klass_id]++;
	}
}

static void gone(struct thing *t, const struct bs_event *e)
{
	t->state = DROPPED;
	t->end = e->ts_ns;
}

static void everybody_out(uint32_t pid)
{
	for (size_t i = 0; i < nthings; i++) {
		struct thing *t = &things[i];

		if (t->pid != pid)
			continue;
		if (t->state == ALIVE || t->state == RESIZING)
			t->state = EXITED;
		else if (t->state == RESIZING_UNKNOWN)
			t->state = LOST;
	}
}

static void reference(const struct bs_event *e)
{
	struct thing *t;

	if (e->type == BS_EVENT_FORK) {
		everybody_out((uint32_t)e->arg);
		return;
	}
	if (e->type != BS_EVENT_MARK) {
		everybody_out(e->pid);
		return;
	}
	switch (e->kind) {
	case BSCOPE_KIND_NEW:
		displace(e);
		add(ALIVE, e);
		created_at[e->place][e->code]++;
		break;
	case BSCOPE_KIND_DROP:
		t = alive(e);
		if (t) {
			gone(t, e);
			break;
		}
		t = resizing(e, true);
		if (t && t->state == RESIZING) {
			gone(t, e);
		} else {
			unknown[e->klass_id]++;
			if (t)
				t->state = LOST;
		}
		break;
	case BSCOPE_KIND_RESIZE_BEGIN:
		t = alive(e);
		if (t) {
			t->state = RESIZING;
		} else {
			unknown[e->klass_id]++;
			t = add(RESIZING_UNKNOWN, e);
		}
		t->resizer = e->tid;
		t->begun = ++begins;
		break;
	case BSCOPE_KIND_RESIZE_END:
		t = resizing(e, true);
		if (!t)
			t = resizing(e, false);
		if (!t)
			unknown[e->klass_id]++;
		displace(e);
		if (t && t->state == RESIZING) {
			t->state = ALIVE;
			t->id = e->id;
			t->bytes = e->arg;
		} else {
			if (t)
				t->state = LOST;
			add(ALIVE, e)->adopted = true;
		}
		break;
	case BSCOPE_KIND_REGION_ENTER:
	case BSCOPE_KIND_REGION_EXIT:
		break;
	default:
		if (!alive(e))
			unknown[e->klass_id]++;
		break;
	}
}

static struct bs_event random_event(uint64_t ts)
{
	struct bs_event e = {.ts_ns = ts, .pid = 1 + below(PIDS), .tid = 1 + below(TIDS)};
	static const uint8_t common[] = {BSCOPE_KIND_NEW,	   BSCOPE_KIND_NEW,
					 BSCOPE_KIND_DROP,	   BSCOPE_KIND_DROP,
					 BSCOPE_KIND_RESIZE_BEGIN, BSCOPE_KIND_RESIZE_END};
	uint32_t dice = below(400);

	if (dice < 4) {
		e.type = (uint8_t)(BS_EVENT_FORK + dice % 3);
		if (e.type == BS_EVENT_FORK)
			e.arg = 1 + below(PIDS);
		return e;
	}
	e.type = BS_EVENT_MARK;
	e.kind = dice < 40 ? (uint8_t)(1 + below(BSCOPE_KIND_END - 1))
			   : common[below(sizeof(common))];
	e.klass_id = 1 + below(CLASSES);
	e.id = below(24) * 0x1000;
	/* A place belongs to one class and one kind. */
	e.place = e.kind * 16u + e.klass_id * 2 + below(2);
	if (e.kind == BSCOPE_KIND_NEW || e.kind == BSCOPE_KIND_RESIZE_END) {
		e.arg = below(100000);
		e.has = BS_EVENT_HAS_BYTES | BS_EVENT_HAS_CALLER;
		e.code = below(CODES);
	}
	return e;
}

static bool is_live(const struct thing *t)
{
	return t->state == ALIVE || t->state == RESIZING;
}

static void compare_site(const struct bs_site_row *row, uint64_t now, uint64_t min_age)
{
	uint64_t live = 0, bytes = 0, dropped = 0, lives = 0, longest = 0, oldest = 0;

	for (size_t i = 0; i < nthings; i++) {
		const struct thing *t = &things[i];

		if (t->place != row->place || t->code != row->code)
			continue;
		assert_int_equal(t->klass, row->klass_id);
		if (is_live(t) && now - t->birth >= min_age) {
			live++;
			bytes += t->bytes;
			if (now - t->birth > oldest)
				oldest = now - t->birth;
		}
		if (t->state != DROPPED)
			continue;
		dropped++;
		if (t->adopted)
			continue;
		lives++;
		if (t->end - t->birth > longest)
			longest = t->end - t->birth;
	}
	assert_int_equal(row->live, live);
	assert_int_equal(row->live_bytes, bytes);
	assert_int_equal(row->dropped, dropped);
	assert_int_equal(row->oldest_ns, oldest);
	assert_int_equal(row->lifetime.count, lives);
	assert_int_equal(row->lifetime.max_ns, longest);
	assert_int_equal(row->created, created_at[row->place][row->code]);
}

static void compare(struct bs_model *m, uint64_t now)
{
	uint64_t live = 0, bytes = 0, dropped = 0, created = 0, lost = 0, exited = 0, sum = 0;
	uint64_t adopted = 0;
	struct bs_class_row *classes;
	struct bs_site_row *sites;
	struct bs_exit_row *exits;
	struct bs_model_totals t;
	size_t n;

	for (size_t i = 0; i < nthings; i++) {
		live += is_live(&things[i]);
		bytes += is_live(&things[i]) ? things[i].bytes : 0;
		dropped += things[i].state == DROPPED;
		exited += things[i].state == EXITED;
		adopted += things[i].adopted;
	}
	for (unsigned p = 0; p < 256; p++) {
		for (unsigned c = 0; c < 8; c++)
			created += created_at[p][c];
	}
	for (unsigned k = 0; k < 8; k++)
		lost += unknown[k];

	bs_model_totals(m, &t);
	assert_int_equal(t.live, live);
	assert_int_equal(t.live_bytes, bytes);
	assert_int_equal(t.dropped, dropped);
	assert_int_equal(t.created, created);
	assert_int_equal(t.unknown, lost);
	assert_int_equal(t.adopted, adopted);
	assert_int_equal(t.exited, exited);
	/* Every object is somewhere. */
	assert_int_equal(t.created + t.adopted, t.dropped + t.vanished + t.live + t.exited);

	for (unsigned older = 0; older < 2; older++) {
		uint64_t age = older ? 20000 : 0;

		live = 0;
		for (size_t i = 0; i < nthings; i++)
			live += is_live(&things[i]) && now - things[i].birth >= age;
		assert_int_equal(bs_model_sites(m, age, &sites, &n), 0);
		for (size_t i = 0; i < n; i++) {
			compare_site(&sites[i], now, age);
			live -= sites[i].live;
			assert_true(!older || sites[i].live);
		}
		assert_int_equal(live, 0);
		free(sites);
	}

	assert_int_equal(bs_model_classes(m, &classes, &n), 0);
	for (size_t i = 0; i < n; i++) {
		live = bytes = 0;
		for (size_t k = 0; k < nthings; k++) {
			bool here = is_live(&things[k]) && things[k].klass == classes[i].klass_id;

			live += here;
			bytes += here ? things[k].bytes : 0;
		}
		assert_int_equal(classes[i].live, live);
		assert_int_equal(classes[i].live_bytes, bytes);
		assert_int_equal(classes[i].unknown, unknown[classes[i].klass_id]);
		created -= classes[i].created;
		dropped -= classes[i].dropped;
	}
	assert_int_equal(created, 0);
	assert_int_equal(dropped, 0);
	free(classes);

	assert_int_equal(bs_model_at_exit(m, &exits, &n), 0);
	for (size_t i = 0; i < n; i++) {
		uint64_t count = 0;

		bytes = 0;
		for (size_t k = 0; k < nthings; k++) {
			const struct thing *o = &things[k];

			if (o->state != EXITED || o->pid != exits[i].pid ||
			    o->place != exits[i].place || o->code != exits[i].code)
				continue;
			count++;
			bytes += o->bytes;
		}
		assert_int_equal(exits[i].count, count);
		assert_int_equal(exits[i].bytes, bytes);
		sum += count;
	}
	assert_int_equal(sum, exited);
	free(exits);
}

static void random_histories(void **state)
{
	(void)state;
	for (unsigned s = 1; s <= 150; s++) {
		struct bs_model_opts opts = {.start_ns = 1000};
		struct bs_model *m = bs_model_new(&opts);
		/* The same, many events at once. */
		struct bs_model *batches = bs_model_new(&opts);
		static struct bs_event events[4000];
		struct bs_model_totals a, b;
		/* Far enough apart to have an order. */
		uint64_t ts = 1000;
		unsigned length = s % 10 ? 600 : 4000;

		assert_non_null(m);
		assert_non_null(batches);
		seed = s * 0x9e3779b97f4a7c15ull;
		nthings = 0;
		begins = 0;
		memset(unknown, 0, sizeof(unknown));
		memset(created_at, 0, sizeof(created_at));
		for (unsigned i = 0; i < length; i++) {
			events[i] = random_event(ts += 2001 + below(5000));
			reference(&events[i]);
			assert_int_equal(bs_model_event(m, &events[i]), 0);
			if (i % 97 == 0)
				compare(m, ts);
		}
		compare(m, ts);
		for (unsigned i = 0, n; i < length; i += n) {
			n = 1 + below(200);
			n = n < length - i ? n : length - i;
			assert_int_equal(bs_model_events(batches, &events[i], n), 0);
		}
		compare(batches, ts);
		bs_model_totals(m, &a);
		bs_model_totals(batches, &b);
		assert_memory_equal(&a, &b, sizeof(a));
		bs_model_free(m);
		bs_model_free(batches);
	}
	free(things);
	things = NULL;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(random_histories),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
