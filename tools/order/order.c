/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * order.c - merges the threads' events by time.
 *
 * Each thread has a queue in the order of pushing, whose times never step back: an event whose
 * stamp is older than its predecessor's sorts as if it had the predecessor's.  So the head of a
 * queue is its oldest, and handing out is a merge of queue heads.  Only when another thread comes
 * first has that anything to do: until then the first thread hands out one event after the other,
 * as a piece.  Who comes first is played out in a tree: each thread has a leaf, and each node is
 * the one of its two children that comes first.  A heap would do fewer comparisons, but it goes on
 * or stops by their results, which a processor cannot guess; here only the value depends on them.
 *
 * A queue is a list of cells, each of which holds events, or slots with their time in nanoseconds
 * since the cell's base.  Cells are half a kilobyte, so that a thread with a single event costs
 * little and one with thousands walks through memory.
 */
#include "order/order.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "bscope/buffer.h"

#define NONE	   UINT32_MAX
#define SLAB_SHIFT 7 /* cells of a slab: 64 kB */
#define SLAB_SIZE  (1u << SLAB_SHIFT)

#define CELL_BYTES  512u
#define CELL_HEAD   16u
#define CELL_SLOTS  ((CELL_BYTES - CELL_HEAD) / sizeof(struct bscope_slot))
#define CELL_EVENTS ((CELL_BYTES - CELL_HEAD) / sizeof(struct bs_event))

struct cell {
	uint64_t base_ns; /* of slots */
	uint32_t next;	  /* in the thread's queue, or in the free list */
	uint8_t begin, n; /* items begin..n-1 are held */
	bool slots;	  /* or events */
	union {
		struct bs_event events[CELL_EVENTS];
		struct bscope_slot slots[CELL_SLOTS];
	} v;
};
_Static_assert(sizeof(struct cell) == CELL_BYTES, "half a kilobyte");
_Static_assert(CELL_SLOTS <= BS_ORDER_PIECE && CELL_EVENTS <= BS_ORDER_PIECE, "as promised");

/* What a thread sends by one way: a stream. */
struct thread {
	uint64_t key;	 /* pid << 32 | tid */
	uint32_t stream; /* EVENTS, or of slots */
	uint64_t time;	 /* of the event at the head, or of the last one that was there */
	uint32_t head, tail;
};

/*
 * Time of a thread's first event, and behind it, in 32 bits, its number: what comes first is less.
 * One that holds nothing comes after all others.
 */
typedef unsigned __int128 turn;
#define NO_TURN (~(turn)0)

struct bs_order {
	size_t max_held;
	size_t held; /* events */
	uint64_t late;
	uint64_t gone; /* greatest time let go so far */

	struct cell **slabs;
	uint32_t nslabs, slabs_cap;
	uint32_t free;

	struct thread *threads;
	uint32_t nthreads, threads_cap;
	uint32_t *index; /* hash of key -> thread + 1, 0: empty */
	uint32_t index_mask;
	uint32_t recent; /* the thread pushed to last */

	turn *tree;	  /* the first is tree[1], the leaves begin at nleaves */
	uint32_t nleaves; /* a power of two */
};

static struct cell *cell_at(const struct bs_order *o, uint32_t i)
{
	return &o->slabs[i >> SLAB_SHIFT][i & (SLAB_SIZE - 1)];
}

struct bs_order *bs_order_new(size_t max_held)
{
	struct bs_order *o = calloc(1, sizeof(*o));

	if (!o)
		return NULL;
	/* Cells have numbers of 32 bits. */
	o->max_held = max_held < INT32_MAX / 2 ? max_held : INT32_MAX / 2;
	o->free = NONE;
	o->recent = NONE;
	return o;
}

void bs_order_free(struct bs_order *o)
{
	if (!o)
		return;
	for (uint32_t i = 0; i < o->nslabs; i++)
		free(o->slabs[i]);
	free(o->slabs);
	free(o->threads);
	free(o->index);
	free(o->tree);
	free(o);
}

static int slab_add(struct bs_order *o)
{
	struct cell *slab;

	if (o->nslabs >= (INT32_MAX >> SLAB_SHIFT))
		return -ENOMEM;
	if (o->nslabs == o->slabs_cap) {
		uint32_t cap = o->slabs_cap ? o->slabs_cap * 2 : 16;
		struct cell **slabs = realloc(o->slabs, cap * sizeof(*slabs));

		if (!slabs)
			return -ENOMEM;
		o->slabs = slabs;
		o->slabs_cap = cap;
	}
	slab = aligned_alloc(64, SLAB_SIZE * sizeof(*slab));
	if (!slab)
		return -ENOMEM;
	o->slabs[o->nslabs] = slab;
	/* The lowest address is handed out first: pushes then walk forward through memory. */
	for (uint32_t i = 0; i < SLAB_SIZE; i++)
		slab[i].next = (o->nslabs << SLAB_SHIFT) + i + 1;
	slab[SLAB_SIZE - 1].next = o->free;
	o->free = o->nslabs << SLAB_SHIFT;
	o->nslabs++;
	return 0;
}

/* --- threads ---------------------------------------------------------------------------------- */

/* That of events; no buffer's number is so large. */
#define EVENTS UINT32_MAX

static uint32_t key_hash(uint64_t key, uint32_t stream)
{
	return (uint32_t)(((key ^ (uint64_t)stream << 22) * 0x9e3779b97f4a7c15ull) >> 32);
}

static void index_put(struct bs_order *o, uint32_t thread)
{
	uint32_t i = key_hash(o->threads[thread].key, o->threads[thread].stream) & o->index_mask;

	while (o->index[i])
		i = (i + 1) & o->index_mask;
	o->index[i] = thread + 1;
}

/*
 * Makes room for one more thread.  Threads that hold nothing and whose last event is older than
 * what was let go are forgotten first: nothing they still push could sort differently, it
 * would be late in any case.  So memory follows the threads that are active, not all that ever
 * were.
 */
static int threads_reserve(struct bs_order *o)
{
	uint32_t kept = 0, cap = o->threads_cap, *index;
	struct thread *threads;
	turn *tree;

	for (uint32_t i = 0; i < o->nthreads; i++) {
		struct thread *t = &o->threads[i];

		if (t->head != NONE || t->time >= o->gone)
			o->threads[kept++] = *t;
	}
	o->nthreads = kept;
	o->recent = NONE;

	if (kept >= cap / 2 || !cap) {
		cap = cap ? cap * 2 : 64;
		threads = realloc(o->threads, cap * sizeof(*threads));
		if (!threads)
			goto out;
		o->threads = threads;
		tree = realloc(o->tree, 2 * (size_t)cap * sizeof(*tree));
		if (!tree)
			goto out;
		o->tree = tree;
		index = calloc(cap * 2, sizeof(*index));
		if (!index)
			goto out;
		free(o->index);
		o->index = index;
		o->index_mask = cap * 2 - 1;
		o->threads_cap = cap;
	}
out:
	if (!o->index)
		return -ENOMEM;
	memset(o->index, 0, ((size_t)o->index_mask + 1) * sizeof(*o->index));
	for (uint32_t i = 0; i < o->nthreads; i++)
		index_put(o, i);
	return o->nthreads < o->threads_cap ? 0 : -ENOMEM;
}

/* The queue of a thread, created if need be; NULL when out of memory. */
static struct thread *thread_get(struct bs_order *o, uint64_t key, uint32_t stream)
{
	struct thread *t;

	if (o->recent != NONE && o->threads[o->recent].key == key &&
	    o->threads[o->recent].stream == stream)
		return &o->threads[o->recent];
	if (o->index) {
		uint32_t i = key_hash(key, stream) & o->index_mask;

		for (; o->index[i]; i = (i + 1) & o->index_mask) {
			t = &o->threads[o->index[i] - 1];
			if (t->key != key || t->stream != stream)
				continue;
			o->recent = o->index[i] - 1;
			return t;
		}
	}
	if (o->nthreads == o->threads_cap && threads_reserve(o))
		return NULL;
	o->recent = o->nthreads++;
	t = &o->threads[o->recent];
	*t = (struct thread){.key = key, .stream = stream, .head = NONE, .tail = NONE};
	index_put(o, o->recent);
	return t;
}

/* --- pushing ---------------------------------------------------------------------------------- */

static uint64_t item_ns(const struct cell *c, unsigned i)
{
	return c->slots ? c->base_ns + (c->v.slots[i].head >> BSCOPE_SLOT_TIME_SHIFT)
			: c->v.events[i].ts_ns;
}

/* The thread is about to get an event of that time behind all that it has. */
static void thread_begin(const struct bs_order *o, struct thread *t, uint64_t ns)
{
	if (t->head != NONE)
		return;
	/* As if forgotten: how late events of a thread sort must not depend on how many others
	 * came.
	 */
	if (t->time < o->gone || ns > t->time)
		t->time = ns;
}

/* A new cell at the end of the thread's queue; NULL when out of memory. */
static struct cell *cell_add(struct bs_order *o, struct thread *t, bool slots, uint64_t base_ns)
{
	uint32_t at = o->free;
	struct cell *c;

	if (at == NONE) {
		if (slab_add(o))
			return NULL;
		at = o->free;
	}
	c = cell_at(o, at);
	o->free = c->next;
	c->base_ns = base_ns;
	c->next = NONE;
	c->begin = c->n = 0;
	c->slots = slots;
	if (t->head == NONE)
		t->head = at;
	else
		cell_at(o, t->tail)->next = at;
	t->tail = at;
	return c;
}

int bs_order_push(struct bs_order *o, const struct bs_event *ev)
{
	struct thread *t = thread_get(o, (uint64_t)ev->pid << 32 | ev->tid, EVENTS);
	struct cell *c = NULL;

	if (!t)
		return -ENOMEM;
	if (t->head != NONE)
		c = cell_at(o, t->tail);
	thread_begin(o, t, ev->ts_ns);
	if (!c || c->slots || c->n == CELL_EVENTS)
		c = cell_add(o, t, false, 0);
	if (!c)
		return -ENOMEM;
	c->v.events[c->n++] = *ev;
	o->held++;
	return 0;
}

/* Of so many slots, those that are an event's own. */
static size_t heads(const struct bscope_slot *v, size_t n)
{
	size_t sum = 0;

	for (size_t i = 0; i < n; i++)
		sum += !(v[i].head & BSCOPE_SLOT_EXTRA);
	return sum;
}

int bs_order_push_slots(struct bs_order *o, const struct bs_slots *slots, size_t events)
{
	struct thread *t = thread_get(o, (uint64_t)slots->pid << 32 | slots->tid, slots->stream);
	size_t n;

	if (!t)
		return -ENOMEM;
	for (size_t i = 0; i < slots->n; i += n) {
		struct cell *c = t->head != NONE ? cell_at(o, t->tail) : NULL;

		if (!c || !c->slots || c->base_ns != slots->base_ns || c->n + 2u > CELL_SLOTS) {
			thread_begin(o, t,
				     slots->base_ns + (slots->v[i].head >> BSCOPE_SLOT_TIME_SHIFT));
			c = cell_add(o, t, true, slots->base_ns);
		}
		if (!c) {
			o->held += heads(slots->v, i);
			return -ENOMEM;
		}
		n = CELL_SLOTS - (size_t)c->n;
		if (n > slots->n - i)
			n = slots->n - i;
		/* What belongs to one event stays together. */
		else if (n < slots->n - i && slots->v[i + n].head & BSCOPE_SLOT_EXTRA)
			n--;
		memcpy(&c->v.slots[c->n], &slots->v[i], n * sizeof(*slots->v));
		c->n = (uint8_t)(c->n + n);
	}
	o->held += events;
	return 0;
}

/* --- handing out ------------------------------------------------------------------------------ */

static uint64_t turn_time(turn t)
{
	return (uint64_t)(t >> 32);
}

static uint32_t turn_thread(turn t)
{
	return (uint32_t)t;
}

static turn turn_of(const struct bs_order *o, uint32_t thread)
{
	const struct thread *t = &o->threads[thread];

	return thread < o->nthreads && t->head != NONE ? (turn)t->time << 32 | thread : NO_TURN;
}

static turn turn_first(turn a, turn b)
{
	return a < b ? a : b;
}

static void tree_build(struct bs_order *o)
{
	o->nleaves = 1;
	while (o->nleaves < o->nthreads)
		o->nleaves *= 2;
	for (uint32_t i = 0; i < o->nleaves; i++)
		o->tree[o->nleaves + i] = turn_of(o, i);
	for (uint32_t i = o->nleaves; --i > 0;)
		o->tree[i] = turn_first(o->tree[2 * i], o->tree[2 * i + 1]);
}

/* The first event of a thread is another one now. */
static void tree_update(struct bs_order *o, uint32_t thread)
{
	turn first = turn_of(o, thread);

	for (uint32_t i = o->nleaves + thread; i > 1; i /= 2) {
		o->tree[i] = first;
		first = turn_first(first, o->tree[i ^ 1]);
	}
	o->tree[1] = first;
}

/* Up to which time the thread that comes first does so. */
static uint64_t tree_limit(const struct bs_order *o)
{
	uint32_t thread = turn_thread(o->tree[1]);
	turn next = NO_TURN;

	for (uint32_t i = o->nleaves + thread; i > 1; i /= 2)
		next = turn_first(next, o->tree[i ^ 1]);
	return next == NO_TURN ? UINT64_MAX : turn_time(next) - (thread > turn_thread(next));
}

/*
 * Takes slots whose first event is not late, all up to that time.  Nearly everything goes by here,
 * so it looks at nothing but heads.  Leaves t->time and returns as cell_take does.
 */
static unsigned slots_take(struct bs_order *o, struct thread *t, const struct cell *c,
			   uint64_t until)
{
	/* Of the cell's base; time is that of the event before, and does not step back. */
	uint64_t last = until - c->base_ns, time = t->time - c->base_ns, ns = time;
	unsigned i = c->begin, taken = 0;

	for (; i < c->n; i++) {
		uint64_t head = c->v.slots[i].head;

		if (head & BSCOPE_SLOT_EXTRA)
			continue;
		ns = head >> BSCOPE_SLOT_TIME_SHIFT;
		if (ns > last)
			break;
		time = ns > time ? ns : time;
		taken++;
	}
	o->held -= taken;
	o->gone = c->base_ns + time;
	t->time = c->base_ns + (ns > time ? ns : time);
	return i - c->begin;
}

/*
 * Takes events up to `limit`, and from `watermark` on only as many as are held too much, from the
 * cell at the head of a thread's queue.  Leaves the time of the next one, if it has any, in
 * t->time; returns the number of items (slots or events) taken.
 */
static unsigned cell_take(struct bs_order *o, struct thread *t, const struct cell *c,
			  uint64_t limit, uint64_t watermark)
{
	uint64_t until = limit < watermark ? limit : watermark;
	unsigned i = c->begin;

	if (c->slots && t->time <= until && t->time >= o->gone) {
		i += slots_take(o, t, c, until);
		if (i == c->n)
			return i - c->begin;
	}
	while (t->time <= limit && (t->time <= watermark || o->held > o->max_held)) {
		o->held--;
		if (t->time < o->gone)
			o->late++;
		else
			o->gone = t->time;
		i++;
		if (c->slots && i < c->n && c->v.slots[i].head & BSCOPE_SLOT_EXTRA)
			i++;
		if (i == c->n)
			break;
		if (item_ns(c, i) > t->time)
			t->time = item_ns(c, i);
	}
	return i - c->begin;
}

static int hand_out(const struct thread *t, const struct cell *c, unsigned n,
		    const struct bs_order_ops *ops)
{
	struct bs_slots piece = {
		.pid = (uint32_t)(t->key >> 32),
		.tid = (uint32_t)t->key,
		.stream = t->stream,
		.base_ns = c->base_ns,
		.v = &c->v.slots[c->begin],
		.n = n,
	};

	return c->slots ? ops->slots(ops->ctx, &piece)
			: ops->events(ops->ctx, &c->v.events[c->begin], n);
}

/*
 * A thread's next cell is read soon, and lies where the processor does not expect it.  Inlined: gcc
 * drops calls of a function that does nothing but fetch.
 */
static inline __attribute__((always_inline)) void cell_fetch(const struct bs_order *o, uint32_t i)
{
	const char *c = (const char *)cell_at(o, i);

	for (unsigned at = 0; at < CELL_BYTES; at += 64)
		__builtin_prefetch(c + at);
}

int bs_order_release(struct bs_order *o, uint64_t watermark_ns, const struct bs_order_ops *ops)
{
	/* What is older than something that has gone is late already: holding it helps nobody. */
	uint64_t watermark = o->gone > watermark_ns ? o->gone - 1 : watermark_ns;
	int err = 0;

	if (!o->nthreads)
		return 0;
	tree_build(o);
	while (o->tree[1] != NO_TURN && err >= 0) {
		uint32_t thread = turn_thread(o->tree[1]);
		struct thread *t = &o->threads[thread];
		uint32_t at = t->head;
		struct cell *c = cell_at(o, at);
		unsigned n;

		if (!c->begin && c->next != NONE)
			cell_fetch(o, c->next);
		n = cell_take(o, t, c, tree_limit(o), watermark);
		if (!n)
			break;
		err = hand_out(t, c, n, ops);
		c->begin = (uint8_t)(c->begin + n);
		if (c->begin == c->n) {
			t->head = c->next;
			c->next = o->free;
			o->free = at;
			if (t->head != NONE) {
				uint64_t ns = item_ns(cell_at(o, t->head), 0);

				if (ns > t->time)
					t->time = ns;
			}
		}
		tree_update(o, thread);
	}
	return err < 0 ? err : 0;
}

bool bs_order_full(const struct bs_order *o)
{
	return o->held > o->max_held + o->max_held / 8;
}

size_t bs_order_held(const struct bs_order *o)
{
	return o->held;
}

uint64_t bs_order_late(const struct bs_order *o)
{
	return o->late;
}
