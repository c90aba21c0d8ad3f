/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * buffers_state.h - what is known of the buffers of traced processes; shared by buffers.c,
 * buffers_slots.c and buffers_look.c and by nobody else.
 */
#ifndef BS_COLLECT_BUFFERS_STATE_H
#define BS_COLLECT_BUFFERS_STATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <uthash.h>

#include "collect/buffers.h"
#include "target/memory.h"

#define HOLES_MAX 8
/* Nobody records so much between two looks: a count that jumps further is a lie. */
#define JUMP_MAX (1ull << 40)

struct head {
	uint64_t owner, next, extra, tid, reserved[4];
};
_Static_assert(sizeof(struct head) == BSCOPE_BUFFER_HEAD_BYTES, "head of a buffer");

/* Slots that are not committed have such places, as the slots themselves. */
struct stack {
	uint64_t slot; /* its number; 0: none */
	uint32_t stack;
};

struct buffer {
	uint32_t tid;
	uint32_t number;	    /* in its process */
	bool known;		    /* somebody has had it */
	bool announced;		    /* tid is of this owner */
	bool tell;		    /* tid is to be written into the process */
	bool dead;		    /* the thread runs no more, but may have left something */
	bool looked;		    /* which would have been read since */
	bool late;		    /* a look that is under way did not know of it */
	bool ended;		    /* the thread has; all it wrote was read or never will be */
	uint8_t looks;		    /* since then */
	uint8_t nholes, nread;	    /* holes; of those, copied by the look that is under way */
	uint64_t announced_ns;	    /* when that was */
	uint64_t next;		    /* first slot that is not accounted for */
	uint64_t base, base_extra;  /* the program's counts when tracing began */
	uint64_t seen, seen_extra;  /* and as they were seen last */
	uint64_t last;		    /* head of the event passed on last, 0 if none */
	uint64_t before[HOLES_MAX]; /* head of the event passed on before each hole */
	uint64_t holes[HOLES_MAX];  /* numbers */
	struct stack *stacks;	    /* BSCOPE_BUFFER_SLOTS; NULL: there never was one */
	/* of the look that is under way: slots from..to-1 lie in copies[at], if to > from */
	uint64_t from, to;
	size_t at, holes_at;
};

struct pool {
	uint64_t addr, nbuffers;
	uint32_t number; /* in its process */
	struct buffer *v;
	uint32_t used; /* of v */
	uint64_t base_no_buffer, no_buffer;
};

struct process {
	int pid;
	int shares; /* the process whose memory it has; 0: its own */
	struct pool *pools;
	size_t npools;
	unsigned reads;
	uint64_t looked_tsc; /* before the last look that could read all of it */
	UT_hash_handle hh;
};

struct bs_buffers {
	struct bs_buffers_ops ops;
	uint64_t tool; /* ourselves, as pools name it */
	struct process *processes;
	struct process *recent;
	struct bs_buffers_counts gone; /* of processes that are no more */
	uint64_t received, abandoned, skipped;
	uint64_t lost; /* records of the ring, when the last look began */

	uint32_t *stacks; /* of the slots that are passed on; room for a whole buffer */
	bool has_stacks;

	struct bscope_slot *copies;
	size_t ncopies, copies_room;
	uint64_t read_tsc, read_before_tsc; /* of the last two looks */
	/* what is to be fetched */
	struct iovec local[BS_MEMORY_PIECES], remote[BS_MEMORY_PIECES];
	size_t niovs;
};

/* --- buffers.c: which there are --------------------------------------------------------------- */

/* NULL if nothing is known of it. */
struct process *bs_buffers_process_find(struct bs_buffers *b, int pid);

/* States of the first `used` buffers; a new one has never been written to. */
int bs_pool_reach(struct pool *pool, uint32_t used);

static inline uint64_t buffer_addr(const struct pool *pool, uint32_t i)
{
	return pool->addr + sizeof(struct bscope_pool) + i * sizeof(struct bscope_buffer);
}

/*
 * The buffer at this address of the process, or of the one whose memory it has (vfork).  NULL if
 * there is none, or out of memory.
 */
struct buffer *bs_buffer_find(struct bs_buffers *b, uint32_t pid, uint64_t addr);

/*
 * Its memory (memory.h), if the pool is there and ours; otherwise negative.  It may be executing
 * another program, and what is there then is not ours to write to.
 */
int bs_buffers_memory(const struct bs_buffers *b, pid_t pid, const struct pool *pool);

/* Writes a word to the pool. */
void bs_buffers_poke(const struct bs_buffers *b, pid_t pid, const struct pool *pool, uint64_t addr,
		     uint64_t value);

bool bs_buffers_thread_runs(pid_t pid, uint64_t tid);

/* --- buffers_slots.c: what of them is new ----------------------------------------------------- */

static inline bool committed(const struct bscope_slot *slot, uint64_t number)
{
	/* A slot that was left empty has no other bits; time is never 0. */
	return (slot->head & BSCOPE_SLOT_LAP_MASK) == BSCOPE_SLOT_LAP(number) && slot->head;
}

/*
 * Passes on n slots that follow each other, the first with this number, and counts them.  What
 * ops.take returned.
 */
int bs_buffer_pass(struct bs_buffers *b, uint32_t pid, struct buffer *buf, uint64_t first,
		   const struct bscope_slot *slots, size_t n);

/*
 * Passes on what of slots first..end-1 is new.  Slots from fresh on that are not committed end it:
 * they are looked at next time.  The others become holes.
 */
int bs_buffer_take_slots(struct bs_buffers *b, uint32_t pid, struct buffer *buf,
			 const struct bscope_slot *slots, uint64_t first, uint64_t end,
			 uint64_t fresh);

/*
 * What a look that is under way has copied of the slots before end: a batch that did not fit into
 * the ring may have been among them.
 */
int bs_buffer_take_copied(struct bs_buffers *b, uint32_t pid, struct buffer *buf, uint64_t end);

/* The program's own counts, as far as they can be true; the ring brings older ones than memory. */
void bs_buffer_see(struct buffer *buf, uint64_t next, uint64_t extra);

/* Thread tid has it from now on, as a record of that time says. */
void bs_buffer_announce(struct buffer *buf, uint32_t tid, uint64_t ts_ns);

#endif
