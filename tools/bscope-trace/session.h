/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * session.h - one run of the tool: which processes are followed, what is lit in them, and the
 * way of the events from collect through decode and order into the model.
 *
 * Life: new -> attach -> run -> end -> (report reads it) -> free.  One thread.
 */
#ifndef BS_TRACE_SESSION_H
#define BS_TRACE_SESSION_H

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "bscope-trace/followed.h"
#include "bscope-trace/lighting.h"
#include "bscope-trace/priority.h"
#include "collect/collect.h"
#include "collect/buffers.h"
#include "decode/decode.h"
#include "decode/tsc.h"
#include "order/order.h"

struct bs_code;
struct bs_command;
struct bs_error;
struct bs_model;
struct bs_module;
struct bs_options;
struct bs_order;
struct bs_overhead;
struct bs_sites;
struct bs_stacks;
struct bs_steering;
struct bs_unwind;

#define BS_ORDERED (4 * BS_ORDER_PIECE)

/* When nobody looked for so long, stamps of 40 bits are not certain: they come round in minutes. */
#define BS_STALLED_NS 200000000000ull

struct bs_session {
	const struct bs_options *options;
	struct bs_command *command; /* NULL without one; borrowed */
	struct bs_sites *sites;
	struct bs_collect *collect;
	struct bs_buffers *buffers;
	struct bs_lighting lighting;
	struct bs_tsc tsc;
	struct bs_decoder decoder;
	uint32_t clocks_told; /* sites whose classes may have marks of two clocks were told of */
	size_t nclocks;	      /* such classes */
	bool strange_births;  /* at a site whose third operand is no caller: their stratum is not
				known */
	struct bs_order *order;
	struct bs_event ordered[BS_ORDERED]; /* on their way from order to model */
	size_t nordered;
	struct bs_model *model;
	struct bs_priority *priority;
	struct bs_steering *steering; /* with --max-overhead */
	struct bs_overhead *overhead; /* with --overhead */
	struct bs_code *code;
	struct bs_stacks *stacks; /* with --stacks */
	struct bs_unwind *unwind; /* with --call-graph=dwarf */
	uint8_t *text; /* by number of code: is it in a program's text? 0: not asked yet */
	size_t ntext;
	uint32_t stack_most;	    /* addresses that the kernel gives at most */
	uint64_t stacks_taken;	    /* stacks that came and found room */
	struct bs_module **modules; /* all with sites that were seen, lit or not */
	size_t nmodules;
	struct bs_followed followed;
	struct bs_session_loads *loads; /* NULL: the kernel does not tell; then no_loads says why */
	const char *no_loads;

	/* The traced interval, CLOCK_MONOTONIC; start also as CLOCK_REALTIME. */
	uint64_t start_ns, end_ns, start_real_ns;
	/* From the start until all was in the model: how long, and the tool's own CPU time. */
	uint64_t tool_ns, tool_cpu_ns;
	uint64_t watermark_ns;	/* the model has everything up to here */
	uint64_t reference_tsc; /* no event of the buffers that are being read is later */
	uint64_t stalled_ns;	/* the longest time for which nobody looked at the buffers */
	uint64_t last_look_ns;
	uint64_t stamped_ns; /* when coarse stamps were renewed last */
	uint64_t drained_ns; /* what buffers hold was read up to here */
	uint64_t next_drain_ns;
	/* A look at the buffers that is under way, until the ring was read up to a place. */
	struct {
		bool under_way;
		uint64_t hold, start_ns, written;
	} look;
	/* While it runs, NULL otherwise: what ends it, as does this time of CLOCK_MONOTONIC. */
	const volatile sig_atomic_t *stop;
	uint64_t deadline_ns;
	uint64_t life_lost;	/* likewise: records of forks, execs and exits */
	uint64_t lost;		/* as of the last look at the counters */
	uint64_t unreadable;	/* likewise: of decoder.bad */
	uint64_t marks;		/* received so far, for the live line */
	uint64_t next_scan_ns;	/* when to look for new modules and for processes that have gone */
	uint64_t scan_often_ns; /* until then a fresh program may be mapping its libraries */
	uint64_t exit_ns;	/* when the last process ended */
	uint64_t exits;		/* since what they followed was taken away last */
	uint64_t next_gone_ns;	/* when that may be done again */
	size_t scan_at;		/* where the last look stopped */
	size_t nloads_lost;	/* looks before which there was no room for all that was mapped */
	size_t nunread;		/* files that were gone before anybody knew what is in them */
	size_t nlate;		/* files lit while a process already ran them */
	const char *late_path;	/* the first of them, a module's */
	uint64_t late_ns;	/* when it was lit */
	double objects;		/* likewise: how many began, followed or not */
	double skipped;		/* with --max-overhead: marks of objects that were not followed */
	uint64_t sample_full;	/* objects that were to be followed and found no place */
	uint64_t sample_left;	/* that were followed by traps, and not by jumps afterwards */
	size_t bystanders;	/* other processes that map a lit file */
	struct bs_collect_counts counts; /* final, after end */
	struct bs_buffers_counts jumps;	 /* likewise */
	struct bs_error *trouble; /* the first thing that went wrong without stopping the run */
};

/*
 * Reads the sites of the processes (or of the COMMAND's file and of the preload library), loads
 * the programs and lights what the filter chose.  A COMMAND is held until run, but with
 * --overhead-compare: then it runs for so long before anything is lit, and *stop ends that
 * (-EINTR).
 * On error nothing is lit and the targets are as they were.
 */
int bs_session_new(const struct bs_options *o, struct bs_command *command, const char *preload,
		   const volatile sig_atomic_t *stop, struct bs_session **out,
		   struct bs_error *err);

/*
 * Traces until *stop, the duration's end, or the last process's exit.  tick, when not NULL, is
 * called about four times a second.  0 or -errno with err; what was collected stays valid.
 */
int bs_session_run(struct bs_session *s, const volatile sig_atomic_t *stop,
		   void (*tick)(void *ctx, const struct bs_session *s), void *ctx,
		   struct bs_error *err);

/*
 * Makes the sites no-ops again, drains what is on the way, closes the books.  left is called now
 * and then with how many of the events that were not in the model yet are.
 */
int bs_session_end(struct bs_session *s, void (*left)(void *ctx, size_t done, size_t total),
		   void *ctx, struct bs_error *err);

void bs_session_free(struct bs_session *s);

/* A sentence on what was done for --max-overhead, at most size - 1 bytes; with s->steering. */
void bs_session_steering_say(const struct bs_session *s, char *buf, size_t size);

#endif
