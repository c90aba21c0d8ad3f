/* SPDX-License-Identifier: GPL-2.0-only */
/* decode.c - raw ring records become events; a record that does not fit its site is refused. */
#include "decode/decode.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "bpf/event.h"
#include "bscope/abi.h"
#include "bscope/buffer.h"
#include "decode/stacks.h"
#include "decode/tsc.h"
#include "target/sites.h"

_Static_assert(sizeof(struct bs_event) == 48, "events are copied a lot: keep them small");
_Static_assert(BSCOPE_STRATA == 256, "a byte, of which the site's number is one");

#define MARKS_MIN 64u

static uint32_t resolve(const struct bs_decoder *d, uint32_t pid, uint64_t addr)
{
	return d->code && addr ? d->code(d->code_ctx, pid, addr) : 0;
}

/* What an event of a site is; kind 0: not looked at so far. */
struct bs_mark {
	uint32_t place, klass_id;
	uint8_t type, kind, has, stratum; /* in the order of struct bs_event; the stratum is 0 */
	bool two;			  /* slots */
	bool calls;			  /* it has a caller */
	bool argued;			  /* its second operand means something */
};

void bs_decoder_fini(struct bs_decoder *d)
{
	free(d->marks);
	d->marks = NULL;
	d->nmarks = 0;
}

/*
 * What operands a mark has follows from kind, flags and number of operands of the site that was
 * lit, never from the record: an operand that the site has not is 0 there and means nothing.
 */
static uint8_t operands_of(const struct bs_expansion *e)
{
	static const uint8_t second[BSCOPE_KIND_END] = {
		[BSCOPE_KIND_NEW] = BS_EVENT_HAS_BYTES,
		[BSCOPE_KIND_RESIZE_END] = BS_EVENT_HAS_BYTES,
		[BSCOPE_KIND_MOVE] = BS_EVENT_HAS_OTHER,
		[BSCOPE_KIND_BORROW] = BS_EVENT_HAS_OTHER,
		[BSCOPE_KIND_BORROW_MUT] = BS_EVENT_HAS_OTHER,
		[BSCOPE_KIND_UNBORROW] = BS_EVENT_HAS_OTHER,
		[BSCOPE_KIND_USE] = BS_EVENT_HAS_OTHER,
	};
	bool drop = e->kind == BSCOPE_KIND_DROP;
	bool borrow = e->kind == BSCOPE_KIND_BORROW || e->kind == BSCOPE_KIND_BORROW_MUT;
	uint8_t has = e->nargs >= 2 ? second[e->kind] : 0;

	if (e->nargs >= 3 && e->flags & BSCOPE_SITE_CALLER &&
	    (drop || borrow || has & BS_EVENT_HAS_BYTES))
		has |= BS_EVENT_HAS_CALLER;
	if (e->nargs >= 2 && drop && e->flags & BSCOPE_SITE_TRIES)
		has |= BS_EVENT_TRIES;
	if (borrow && e->flags & BSCOPE_SITE_WAITS)
		has |= BS_EVENT_WAITS;
	if (e->kind == BSCOPE_KIND_NEW && !(e->flags & BSCOPE_SITE_SIZED))
		has &= (uint8_t)~BS_EVENT_HAS_BYTES;
	return has;
}

/* A site that has not been met so far: sites are added, and never change. */
static __attribute__((noinline)) const struct bs_mark *mark_learn(struct bs_decoder *d,
								  uint32_t index)
{
	const struct bs_expansion *e = bs_sites_get(d->sites, index);
	uint8_t has;

	if (!e || !e->chosen || !e->klass_id || e->kind < BSCOPE_KIND_NEW ||
	    e->kind >= BSCOPE_KIND_END)
		return NULL;
	if (index >= d->nmarks) {
		uint32_t n = index < MARKS_MIN ? MARKS_MIN : 2 * index;
		struct bs_mark *marks = reallocarray(d->marks, n, sizeof(*marks));

		if (!marks)
			return NULL;
		memset(&marks[d->nmarks], 0, (n - d->nmarks) * sizeof(*marks));
		d->marks = marks;
		d->nmarks = n;
	}
	has = operands_of(e);
	d->marks[index] = (struct bs_mark){
		.place = e->place,
		.klass_id = e->klass_id,
		.type = BS_EVENT_MARK,
		.kind = e->kind,
		.has = has,
		.two = e->nargs > 1,
		.calls = has & BS_EVENT_HAS_CALLER,
		.argued = has & (BS_EVENT_HAS_BYTES | BS_EVENT_HAS_OTHER | BS_EVENT_TRIES),
	};
	return &d->marks[index];
}

/* NULL unless events of that site are to be believed. */
static inline const struct bs_mark *mark_of(struct bs_decoder *d, uint32_t index)
{
	return index < d->nmarks && d->marks[index].kind ? &d->marks[index] : mark_learn(d, index);
}

/*
 * What the code of an event is that has come with this stack, or without.  Only where objects begin
 * it matters to anybody who goes through events one by one.
 */
static uint32_t stack_code(struct bs_decoder *d, const struct bs_mark *m, uint32_t stack,
			   uint32_t caller)
{
	uint32_t code;

	if (!d->stacks || !(d->stack_kinds >> m->kind & 1))
		return caller;
	if (!stack) {
		d->unstacked++;
		return caller;
	}
	d->stacked++;
	code = bs_stacks_event(d->stacks, stack, m->place, m->kind, caller);
	return m->kind == BSCOPE_KIND_NEW || m->kind == BSCOPE_KIND_RESIZE_END ? code : caller;
}

/* All but when and who.  code: of its caller, if it has one, or of its stack. */
static inline void decode_mark(const struct bs_mark *m, uint64_t id, uint64_t arg, uint32_t code,
			       uint8_t stratum, struct bs_event *out)
{
	out->id = id;
	out->arg = m->argued ? arg : 0;
	out->place = m->place;
	out->klass_id = m->klass_id;
	out->code = code;
	out->type = m->type;
	out->kind = m->kind;
	out->has = m->has;
	out->stratum = stratum;
}

static void decode_forgotten(const struct bs_mark *m, uint64_t id, struct bs_event *out)
{
	out->type = BS_EVENT_FORGOTTEN;
	out->kind = 0;
	out->place = m->place;
	out->klass_id = m->klass_id;
	out->has = 0;
	out->stratum = 0;
	out->id = id;
	out->arg = 0;
	out->code = 0;
}

static int decode_record(struct bs_decoder *d, const struct bs_ring_event *rec, uint32_t stack,
			 struct bs_event *out)
{
	const struct bs_mark *m;
	uint64_t caller;

	memset(out, 0, sizeof(*out));
	out->ts_ns = rec->ts_ns;
	out->pid = rec->pid;
	out->tid = rec->tid;

	switch (rec->type) {
	case BS_RING_MARK:
	case BS_RING_MARK_STACK:
		m = mark_of(d, rec->site);
		if (!m)
			return -EBADMSG;
		caller = m->has & BS_EVENT_HAS_CALLER ? rec->args[2] : 0;
		decode_mark(m, rec->args[0], rec->args[1],
			    stack_code(d, m, stack, resolve(d, rec->pid, caller)),
			    (uint8_t)BSCOPE_STRATUM(rec->site, caller), out);
		return 0;
	case BS_RING_FORGOTTEN:
		m = mark_of(d, rec->site);
		if (!m)
			return -EBADMSG;
		decode_forgotten(m, rec->args[0], out);
		return 0;
	case BS_RING_FORK:
		/* Pids are positive ints; anything else would name no process. */
		if (!rec->args[0] || rec->args[0] > INT32_MAX)
			return -EBADMSG;
		out->type = BS_EVENT_FORK;
		out->arg = rec->args[0];
		out->id = rec->args[1];
		out->code = (uint32_t)rec->args[2];
		return 0;
	case BS_RING_EXEC:
		out->type = BS_EVENT_EXEC;
		out->id = rec->args[0];
		out->arg = rec->args[1];
		out->code = (uint32_t)rec->args[2] & ~BS_EXEC_HEARD;
		out->has = rec->args[2] & BS_EXEC_HEARD ? BS_EVENT_HEARD : 0;
		return 0;
	case BS_RING_KILLED:
		out->type = BS_EVENT_KILLED;
		return 0;
	case BS_RING_EXIT:
		out->type = BS_EVENT_EXIT;
		out->arg = rec->args[0];
		return 0;
	default:
		return -EBADMSG;
	}
}

int bs_decode(struct bs_decoder *d, const void *data, size_t size, struct bs_event *out)
{
	return bs_decode_stack(d, data, size, 0, out);
}

int bs_decode_stack(struct bs_decoder *d, const void *data, size_t size, uint32_t stack,
		    struct bs_event *out)
{
	struct bs_ring_event rec;
	int err = -EBADMSG;

	if (size == sizeof(rec)) {
		memcpy(&rec, data, sizeof(rec)); /* the source need not be aligned */
		err = decode_record(d, &rec, stack, out);
	}
	if (err)
		d->bad++;
	return err;
}

/* --- slots ------------------------------------------------------------------------------------ */

#define TIME_SHIFT BSCOPE_SLOT_TIME_SHIFT
#define TIME_BITS  BSCOPE_SLOT_TIME_BITS
#define TIME_MAX   ((1ull << TIME_BITS) - 1)
/* Bases are multiples of it, so that most runs have the same. */
#define BASE_NS (1ull << 34)

/* It is spread over the head of the second slot. */
static uint64_t second_operand(uint64_t head)
{
	return head >> TIME_SHIFT | (head & BSCOPE_SLOT_INDEX_MASK) << TIME_BITS;
}

/*
 * Stamps lie at most 2^TIME_BITS ticks before the latest that is possible, and a tick is less than
 * a nanosecond.  What is older all the same is taken to be as old as can be said.
 */
static uint64_t base_of(const struct bs_tsc *tsc, uint64_t reference)
{
	uint64_t latest = bs_tsc_ns(tsc, reference + BS_TSC_TOLERANCE);

	return latest > TIME_MAX - BASE_NS ? (latest - (TIME_MAX - BASE_NS)) & ~(BASE_NS - 1) : 0;
}

/* For the time of slots, in ns since the base. */
struct times {
	const struct bs_tsc *tsc;
	struct bs_tsc_piece clock; /* its ns since the base, perhaps before it */
	uint64_t reference, base;
};

static __attribute__((noinline)) void times_at(struct times *t, uint64_t stamp)
{
	t->clock = bs_tsc_piece(t->tsc, stamp);
	t->clock.ns -= t->base;
}

static inline uint64_t time_of(struct times *t, uint64_t head)
{
	uint64_t stamp = bs_tsc_widen(head >> TIME_SHIFT, TIME_BITS, t->reference);
	int64_t ns;

	if (!bs_tsc_piece_has(&t->clock, stamp))
		times_at(t, stamp);
	ns = bs_tsc_piece_ns(&t->clock, stamp);
	if ((uint64_t)ns > TIME_MAX)
		return ns < 0 ? 0 : TIME_MAX;
	return (uint64_t)ns;
}

/* An empty slot that has further operands says that an object is forgotten. */
static bool is_forgotten(struct bs_decoder *d, const struct bscope_slot *slots, size_t n)
{
	if (n < 2 || !(slots[1].head & BSCOPE_SLOT_EXTRA))
		return false;
	if (slots[1].value <= BSCOPE_SLOT_INDEX_MASK && mark_of(d, (uint32_t)slots[1].value))
		return true;
	d->bad++;
	return false;
}

/* Of a caller: its number, and what of its stratum it makes.  As an operand, in so few bits. */
#define STRATUM_SHIFT 32
_Static_assert(STRATUM_SHIFT + 8 <= TIME_BITS, "the rest of the head is free");

static uint64_t caller_head(uint32_t code, uint64_t caller)
{
	uint64_t operand = code | BSCOPE_STRATUM(0ull, caller) << STRATUM_SHIFT;

	return operand << TIME_SHIFT | BSCOPE_SLOT_EXTRA;
}

/* Callers whose numbers are asked for together. */
#define CALLERS 64u

/* Slots of further operands: the addresses in them become numbers. */
static void callers_resolve(const struct bs_decoder *d, uint32_t pid, struct bscope_slot **v,
			    size_t n)
{
	for (size_t i = 0; i < n; i++) {
		uint64_t caller = second_operand(v[i]->head);

		v[i]->head = caller_head(resolve(d, pid, caller), caller);
	}
}

static unsigned is_extra(const struct bscope_slot *slot)
{
	return slot->head / BSCOPE_SLOT_EXTRA & 1;
}

/*
 * An event, in one slot or two, behind which its further operands follow; the same where stacks are
 * wanted.  Returns the first free slot.
 */
static struct bscope_slot *with_stack(struct bs_decoder *d, const struct bs_mark *m, uint32_t pid,
				      const struct bscope_slot *at, uint32_t stack, uint64_t time,
				      struct bscope_slot *to)
{
	uint64_t caller = m->has & BS_EVENT_HAS_CALLER ? second_operand(at[1].head) : 0;
	uint32_t code = stack_code(d, m, stack, caller ? resolve(d, pid, caller) : 0);

	to->head = time << TIME_SHIFT | (at->head & ((1ull << TIME_SHIFT) - 1));
	to->value = at->value;
	if (!m->two && !code)
		return to + 1;
	to[1].head = caller_head(code, caller);
	to[1].value = m->two ? at[1].value : 0;
	return to + 2;
}

/*
 * Whether the next event has a second slot, or a caller, is chance as far as a processor can tell,
 * and a branch that it guesses wrong takes longer than all else that is done for an event.  So the
 * second slot is copied in any case, and written over where there is none.  Where the next event
 * begins the slots alone say, so that it does not have to wait for what is known of this one's
 * site.
 */
size_t bs_decode_prepare(struct bs_decoder *d, uint32_t pid, uint32_t tid,
			 const struct bscope_slot *slots, const uint32_t *stacks, size_t n,
			 const struct bs_tsc *tsc, uint64_t reference, struct bscope_slot *out,
			 struct bs_slots *prepared)
{
	struct times times = {.tsc = tsc, .reference = reference, .base = base_of(tsc, reference)};
	const struct bscope_slot *slot = slots, *end = slots + n;
	struct bscope_slot *to = out, *callers[CALLERS];
	bool with_stacks = stacks || d->stacks;
	size_t events = 0, ncallers = 0;

	while (slot < end) {
		const struct bscope_slot *at = slot++, *next = at + (slot < end);
		uint32_t index = at->head & BSCOPE_SLOT_INDEX_MASK;
		unsigned extra = is_extra(next);
		const struct bs_mark *m;

		if (is_extra(at))
			continue;
		slot += extra;
		if (!index) {
			if (!is_forgotten(d, at, (size_t)(end - at)))
				continue;
			to->head = time_of(&times, at->head) << TIME_SHIFT;
			to++->value = at->value;
			*to++ = *next;
			events++;
			continue;
		}
		m = mark_of(d, index);
		if (!m || m->two > extra) {
			d->bad++;
			continue;
		}
		events++;
		if (with_stacks) {
			to = with_stack(d, m, pid, at, stacks ? stacks[at - slots] : 0,
					time_of(&times, at->head), to);
			continue;
		}
		/* The operand of a site that has none there is what was in a register. */
		to[m->two].head = m->calls ? next->head : BSCOPE_SLOT_EXTRA;
		to[m->two].value = next->value;
		to->head = time_of(&times, at->head) << TIME_SHIFT |
			   (at->head & ((1ull << TIME_SHIFT) - 1));
		to->value = at->value;
		callers[ncallers] = to + 1;
		ncallers += m->calls;
		to += 1u + m->two;
		if (ncallers == CALLERS) {
			callers_resolve(d, pid, callers, ncallers);
			ncallers = 0;
		}
	}
	callers_resolve(d, pid, callers, ncallers);
	*prepared = (struct bs_slots){
		.pid = pid, .tid = tid, .base_ns = times.base, .v = out, .n = (size_t)(to - out)};
	return events;
}

size_t bs_decode_slots(const struct bs_decoder *d, const struct bs_slots *slots,
		       struct bs_event *out)
{
	size_t n = 0;

	for (size_t i = 0; i < slots->n; i++, n++) {
		const struct bscope_slot *slot = &slots->v[i];
		const struct bs_mark *m = &d->marks[slot->head & BSCOPE_SLOT_INDEX_MASK];

		out[n].ts_ns = slots->base_ns + (slot->head >> TIME_SHIFT);
		out[n].pid = slots->pid;
		out[n].tid = slots->tid;
		if (!(slot->head & BSCOPE_SLOT_INDEX_MASK)) {
			decode_forgotten(&d->marks[slot[1].value], slot->value, &out[n]);
			i++;
			continue;
		}
		if (i + 1 < slots->n && is_extra(&slot[1])) {
			uint64_t second = second_operand(slot[1].head);

			decode_mark(m, slot->value, slot[1].value, (uint32_t)second,
				    (uint8_t)(slot->head ^ second >> STRATUM_SHIFT), &out[n]);
			i++;
		} else {
			decode_mark(m, slot->value, 0, 0, (uint8_t)slot->head, &out[n]);
		}
	}
	return n;
}
