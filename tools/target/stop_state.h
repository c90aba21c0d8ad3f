/* SPDX-License-Identifier: GPL-2.0-only */
/* stop_state.h - what one stop holds; shared by the files stop*.c and by nobody else. */
#ifndef BS_TARGET_STOP_STATE_H
#define BS_TARGET_STOP_STATE_H

#include <semaphore.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>
#include <time.h>

#include "target/sharers.h"
#include "target/stop.h"

enum thread_state {
	GONE,	 /* or not ours any more */
	SEIZED,	 /* runs */
	TOLD,	 /* to stop */
	STOPPED, /* stands still until it is let go */
};

struct thread {
	pid_t tid;
	enum thread_state state;
	int sig; /* it stopped for this signal; 0: for us */
};

struct stop {
	const struct bs_stop_ask *ask;
	struct bs_patch_result *result;
	/* Threads, and where each is in it: open addressing, index + 1 by tid. */
	struct thread *v;
	uint32_t *slot;
	pid_t *stopped;	  /* tids of those that stand still, for ask->still */
	_Atomic size_t n; /* v[].tid below it never changes: the reaper reads them */
	size_t room, mask;
	/* Task directories of the process and of those that share its memory. */
	struct {
		pid_t pid;
		int fd;
	} dir[1 + BS_SHARERS_MAX];
	size_t ndirs;
	pid_t live; /* a thread of the process, to ask about its memory */
	struct bs_sharers sharers, again;
	uint64_t shares;
	uint64_t began; /* the first was told to stop, CLOCK_MONOTONIC; 0: not yet */
	timer_t timer;
	bool has_timer;
	pid_t tracer;
	bool left; /* some could not be detached from */
	sem_t wake;
	_Atomic bool reaping, over;
};

#define FAIL(s, ret, ...) (snprintf((s)->result->why, sizeof((s)->result->why), __VA_ARGS__), (ret))

/* --- stop_threads.c: who is to stand still ---------------------------------------------------- */

/*
 * Before anybody is seized: finds who shares the memory, and makes room for their threads.  0 or a
 * code as bs_patch(), with why in the result.  What it opened and allocated is in s either way.
 */
int bs_stop_prepare(struct stop *s);

/* NULL: not known. */
struct thread *bs_stop_table_find(struct stop *s, pid_t tid);

/* Seizes all threads not known yet; *fresh: how many.  *steady: the lists were complete. */
int bs_stop_seize_all(struct stop *s, size_t *fresh, bool *steady);

/* 0 if nobody else runs in this memory.  With everybody stopped. */
int bs_stop_nobody_else(struct stop *s);

bool bs_stop_is_dead(pid_t tid);

/* --- stop_eintr.c: their system calls --------------------------------------------------------- */

/*
 * Has a call that returns -EINTR to a stopped thread because of the stop started again.  Whether
 * the thread was in such a call.
 */
bool bs_stop_no_eintr(pid_t tid);

/* Whether a stopped thread is making a child or waiting for one. */
bool bs_stop_has_child(pid_t tid);

#endif
