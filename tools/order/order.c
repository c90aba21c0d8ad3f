/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * order.c - merges the threads' events by time.
 *
 * Each thread has a queue in the order of pushing, whose times never step back: an event whose
 * stamp is older than its predecessor's sorts as if it had the predecessor's.  So the head of a
 * queue is its oldest, and handing out is a merge of queue heads through a small heap.  That
 * costs log(threads with something held) per event whatever order the threads arrive in: single
 * records of a shared ring, or a thousand of one thread at a time.
 *
 * Ties are broken by the order of pushing.  The whole is therefore a stable sort by
 * (time never stepping back within its thread).
 */
#include "order/order.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define NONE	   UINT32_MAX
#define SLAB_SHIFT 10
#define SLAB_SIZE  (1u << SLAB_SHIFT)

/* One held event: a cache line. */
struct held {
	struct bs_event ev;
	uint64_t time; /* ev.ts_ns, or its predecessor's */
	uint32_t seq;  /* order of pushing; wraps, compared by difference */
	uint32_t next; /* in the thread's queue, or in the free list */
};
_Static_assert(sizeof(struct held) == 64, "one cache line");

struct thread {
	uint64_t key;  /* pid << 32 | tid */
	uint64_t last; /* time of the event pushed last */
	uint32_t head, tail;
};

/* The key is repeated here so that the heap does not touch the queues while it sifts. */
struct node {
	uint64_t time;
	uint32_t seq;
	uint32_t thread;
};

struct bs_order {
	size_t max_held;
	size_t held;
	uint64_t late;
	uint64_t gone; /* greatest time let go so far */
	uint32_t seq;

	struct held **slabs;
	uint32_t nslabs, slabs_cap;
	uint32_t free;

	struct thread *threads;
	uint32_t nthreads, threads_cap;
	uint32_t *index; /* hash of key -> thread + 1, 0: empty */
	uint32_t index_mask;
	uint32_t recent; /* the thread pushed to last */

	struct node *heap;
	uint32_t nheap;
};

static struct held *held_at(const struct bs_order *o, uint32_t i)
{
	return &o->slabs[i >> SLAB_SHIFT][i & (SLAB_SIZE - 1)];
}

struct bs_order *bs_order_new(size_t max_held)
{
	struct bs_order *o = calloc(1, sizeof(*o));

	if (!o)
		return NULL;
	/* Indexes and sequence differences are 32 bits wide. */
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
	free(o->heap);
	free(o);
}

static int slab_add(struct bs_order *o)
{
	struct held *slab;

	if (o->nslabs >= (INT32_MAX >> SLAB_SHIFT))
		return -ENOMEM;
	if (o->nslabs == o->slabs_cap) {
		uint32_t cap = o->slabs_cap ? o->slabs_cap * 2 : 16;
		struct held **slabs = realloc(o->slabs, cap * sizeof(*slabs));

		if (!slabs)
			return -ENOMEM;
		o->slabs = slabs;
		o->slabs_cap = cap;
	}
	slab = malloc(SLAB_SIZE * sizeof(*slab));
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

static uint32_t key_hash(uint64_t key)
{
	return (uint32_t)((key * 0x9e3779b97f4a7c15ull) >> 32);
}

static void index_put(struct bs_order *o, uint32_t thread)
{
	uint32_t i = key_hash(o->threads[thread].key) & o->index_mask;

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
	struct node *heap;

	for (uint32_t i = 0; i < o->nthreads; i++) {
		struct thread *t = &o->threads[i];

		if (t->head != NONE || t->last >= o->gone)
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
		heap = realloc(o->heap, cap * sizeof(*heap));
		if (!heap)
			goto out;
		o->heap = heap;
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
static struct thread *thread_get(struct bs_order *o, uint64_t key)
{
	struct thread *t;

	if (o->recent != NONE && o->threads[o->recent].key == key)
		return &o->threads[o->recent];
	if (o->index) {
		uint32_t i = key_hash(key) & o->index_mask;

		for (; o->index[i]; i = (i + 1) & o->index_mask) {
			t = &o->threads[o->index[i] - 1];
			if (t->key != key)
				continue;
			o->recent = o->index[i] - 1;
			return t;
		}
	}
	if (o->nthreads == o->threads_cap && threads_reserve(o))
		return NULL;
	o->recent = o->nthreads++;
	t = &o->threads[o->recent];
	*t = (struct thread){.key = key, .head = NONE, .tail = NONE};
	index_put(o, o->recent);
	return t;
}

int bs_order_push(struct bs_order *o, const struct bs_event *ev)
{
	struct thread *t;
	struct held *h;
	uint32_t at;

	if (o->free == NONE && slab_add(o))
		return -ENOMEM;
	t = thread_get(o, (uint64_t)ev->pid << 32 | ev->tid);
	if (!t)
		return -ENOMEM;

	/* As if forgotten: how a thread's late events sort must not depend on how many others came.
	 */
	if (t->head == NONE && t->last < o->gone)
		t->last = 0;

	at = o->free;
	h = held_at(o, at);
	o->free = h->next;

	h->ev = *ev;
	h->time = ev->ts_ns > t->last ? ev->ts_ns : t->last;
	h->seq = o->seq++;
	h->next = NONE;
	t->last = h->time;
	if (t->head == NONE)
		t->head = at;
	else
		held_at(o, t->tail)->next = at;
	t->tail = at;
	o->held++;
	if (h->time < o->gone)
		o->late++;
	return 0;
}

static int node_before(const struct node *a, const struct node *b)
{
	if (a->time != b->time)
		return a->time < b->time;
	return (int32_t)(a->seq - b->seq) < 0;
}

static void heap_sift(struct bs_order *o, uint32_t i)
{
	struct node moving = o->heap[i];

	for (;;) {
		uint32_t child = 2 * i + 1;

		if (child >= o->nheap)
			break;
		if (child + 1 < o->nheap && node_before(&o->heap[child + 1], &o->heap[child]))
			child++;
		if (!node_before(&o->heap[child], &moving))
			break;
		o->heap[i] = o->heap[child];
		i = child;
	}
	o->heap[i] = moving;
}

/* Most often the next event is of the same thread, and nothing has to move. */
static inline bool heap_top_is_first(const struct bs_order *o)
{
	return (o->nheap < 2 || !node_before(&o->heap[1], &o->heap[0])) &&
	       (o->nheap < 3 || !node_before(&o->heap[2], &o->heap[0]));
}

static void heap_build(struct bs_order *o)
{
	o->nheap = 0;
	for (uint32_t i = 0; i < o->nthreads; i++) {
		const struct thread *t = &o->threads[i];
		const struct held *h;

		if (t->head == NONE)
			continue;
		h = held_at(o, t->head);
		o->heap[o->nheap++] = (struct node){h->time, h->seq, i};
	}
	for (uint32_t i = o->nheap / 2; i-- > 0;)
		heap_sift(o, i);
}

int bs_order_release(struct bs_order *o, uint64_t watermark_ns, bs_order_fn fn, void *ctx)
{
	/* What is older than something that has gone is late already: holding it helps nobody. */
	uint64_t limit = o->gone > watermark_ns ? o->gone - 1 : watermark_ns;
	int err = 0;

	heap_build(o);
	while (o->nheap && err >= 0) {
		struct node *top = &o->heap[0];
		struct thread *t = &o->threads[top->thread];
		uint32_t at = t->head;
		struct held *h = held_at(o, at);
		struct bs_event ev;

		if (h->time > limit && o->held <= o->max_held)
			break;
		ev = h->ev;
		if (h->time > o->gone)
			o->gone = h->time;
		t->head = h->next;
		h->next = o->free;
		o->free = at;
		o->held--;

		if (t->head != NONE) {
			h = held_at(o, t->head);
			top->time = h->time;
			top->seq = h->seq;
		} else {
			*top = o->heap[--o->nheap];
		}
		if (!heap_top_is_first(o))
			heap_sift(o, 0);
		err = fn(ctx, &ev);
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
