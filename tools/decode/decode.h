/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * decode.h - raw ring records become events that the model understands; nothing in a record
 * is trusted.
 */
#ifndef BS_DECODE_DECODE_H
#define BS_DECODE_DECODE_H

#include <stddef.h>
#include <stdint.h>

struct bs_sites;
struct bs_stacks;
struct bs_tsc;
struct bscope_slot;

enum bs_event_type {
	BS_EVENT_MARK = 1,
	BS_EVENT_FORK = 2, /* arg: pid of the child; id: 1 if it shares its parent's memory; code:
			      by what plan its text is lit, as inherited, or 0 */
	BS_EVENT_EXEC = 3, /* id, arg: the 16 bytes of the new short name; code: its value in the
			      map `execs` (bpf/state.h), 0 if not known */
	BS_EVENT_EXIT = 4, /* arg: wait status */
	/* From here on the object is not followed (bscope/follow.h); id, place and klass_id as of a
	 * mark.  Nothing that is counted.  klass_id 0: all that are being resized in the process.
	 */
	BS_EVENT_FORGOTTEN = 5,
	/* The thread has ended, in the middle of anything: killed, with its process mostly. */
	BS_EVENT_KILLED = 6,
};

/* struct bs_event.has */
#define BS_EVENT_HAS_BYTES  0x01u /* arg is a size in bytes */
#define BS_EVENT_HAS_OTHER  0x02u /* arg is `by` or `to` */
#define BS_EVENT_HAS_CALLER 0x04u /* code is a caller */
#define BS_EVENT_TRIES	    0x08u /* a drop that may find nothing; arg 1: it has found nothing */
#define BS_EVENT_WAITS	    0x10u /* a borrow for which the thread has waited */
#define BS_EVENT_HEARD	    0x20u /* exec: what is lit by then is heard from its first mark on */

/* One decoded event. */
struct bs_event {
	uint64_t ts_ns; /* CLOCK_MONOTONIC */
	uint64_t id;
	uint64_t arg; /* bytes, by, to, or as bs_event_type says */
	uint32_t pid;
	uint32_t tid;
	uint32_t place;	   /* bs_places_get; 0 unless a mark, or forgotten */
	uint32_t klass_id; /* likewise */
	uint32_t code;	   /* who called, as numbered by the resolver; 0: unknown or not said; where
			      objects begin, if it is known, the number of the stack (stacks.h) */
	uint8_t type;	   /* enum bs_event_type */
	uint8_t kind;	   /* enum bscope_kind; 0 unless a mark */
	uint8_t has;	   /* BS_EVENT_HAS_* */
	uint8_t stratum;   /* where an object begins (bscope/buffer.h) */
};

/* Turns the address of code in a process into a small number that outlives the process. */
typedef uint32_t (*bs_decode_code_fn)(void *ctx, uint32_t pid, uint64_t addr);

struct bs_decoder {
	const struct bs_sites *sites;
	bs_decode_code_fn code; /* NULL: code stays 0 */
	void *code_ctx;
	uint64_t bad; /* records refused so far */

	/*
	 * Stacks of events, if stacks is not NULL: of the kinds with a bit in stack_kinds.  Counted
	 * are events that came with one, and those that came without.
	 */
	struct bs_stacks *stacks;
	uint32_t stack_kinds;
	uint64_t stacked, unstacked;

	/* What is known of sites, by index; its own, {0} at first. */
	struct bs_mark *marks;
	uint32_t nmarks;
};
void bs_decoder_fini(struct bs_decoder *d);

/*
 * 0, or -EBADMSG (wrong size or type, no such site, a site that was not chosen): counted in
 * bad, *out undefined.  Out of memory is a site that does not exist.
 */
int bs_decode(struct bs_decoder *d, const void *data, size_t size, struct bs_event *out);
/* The same for a record of a mark that has come with this stack (stacks.h); 0: it has none. */
int bs_decode_stack(struct bs_decoder *d, const void *data, size_t size, uint32_t stack,
		    struct bs_event *out);

/*
 * Slots of one thread that are understood: each of an event is followed by that of its further
 * operands, if its kind has any; the rest is objects that are forgotten (bscope/follow.h).  As in
 * include/bscope/buffer.h but that the time in the heads is in ns since base_ns, a caller is the
 * number that the resolver gave, with its part of the stratum above its 32 bits, and an event whose
 * stack is known has a second slot in any case, with the number of the stack in the caller's place.
 */
struct bs_slots {
	uint32_t pid, tid;
	uint32_t stream;  /* number of the buffer that they come from */
	uint64_t base_ns; /* CLOCK_MONOTONIC */
	const struct bscope_slot *v;
	size_t n;
};

/*
 * Slots of a thread's buffer, in order, each committed, become such slots in out, which has room
 * for n, or 2 n with stacks: those of each slot of an event, 0 for none; NULL: none has one.  Those
 * that were left empty, and those of further operands without their event before them, are passed
 * over; events that do not fit their site are counted in bad. reference: a stamp not before theirs.
 * Returns the number of events, and of objects forgotten.
 */
size_t bs_decode_prepare(struct bs_decoder *d, uint32_t pid, uint32_t tid,
			 const struct bscope_slot *slots, const uint32_t *stacks, size_t n,
			 const struct bs_tsc *tsc, uint64_t reference, struct bscope_slot *out,
			 struct bs_slots *prepared);

/*
 * The events of slots that this decoder has prepared, into out, which has room for slots->n.
 * Returns how many.
 */
size_t bs_decode_slots(const struct bs_decoder *d, const struct bs_slots *slots,
		       struct bs_event *out);

#endif
