/* SPDX-License-Identifier: GPL-2.0-only */
/* followed.h - the processes of a run: those asked for and the children they forked. */
#ifndef BS_TRACE_FOLLOWED_H
#define BS_TRACE_FOLLOWED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <uthash.h>

struct bs_jump_pool;

/* How the sites of a process are lit; see lighting.h. */
enum bs_lit {
	BS_LIT_NONE = 0,
	BS_LIT_TRAP = 1,
	BS_LIT_JUMP = 2,
	BS_LIT_SHARES = 3, /* a vfork child: it runs in its parent's memory */
};

struct bs_process {
	pid_t pid;
	size_t number; /* its place in bs_followed.v */
	bool alive;
	unsigned missed;       /* how often its exit has been found without its record */
	uint64_t cpu_first_ns; /* CPU time it had used when it was met */
	uint64_t cpu_last_ns;  /* at the last look */
	char comm[32];
	char exe[256];
	uint64_t looked_ns;    /* when somebody has looked at all that it maps, CLOCK_MONOTONIC */
	uint64_t look_cost_ns; /* and how long that took */
	/* As bs_collect_execs, of its last exec whose record has come. */
	uint32_t execs;
	uint32_t execs_sent; /* when the ring was read last, if it was more; its record may be lost
			      */
	/* of lighting.c */
	enum bs_lit how;
	/* As it was until it executed another program or exited, when that was heard. */
	enum bs_lit how_last;
	uint64_t how_last_ns;		 /* CLOCK_MONOTONIC */
	bool no_jumps;			 /* for good; why says the reason */
	const struct bs_process *shares; /* whose memory it has, if not its own */
	unsigned tries;			 /* that failed */
	uint64_t next_try_ns;		 /* CLOCK_MONOTONIC */
	uint64_t begun_ns;		 /* when it was heard that it executes this program */
	uint64_t executed_ns;		 /* when it did, as far as is known; 0: not yet */
	uint32_t plan;			 /* of its switches; 0: none */
	uint64_t lit_ns;		 /* since when by jumps */
	bool sampled;			 /* its runtimes have been told how, once */
	struct bs_jump_pool *pools;	 /* of its runtimes */
	size_t npools;
	bool unlinked;	  /* what it has mapped and not linked is not waited for any more */
	size_t elsewhere; /* its sites that call no runtime that we know */
	char why[1024];
	UT_hash_handle hh;
};

struct bs_followed {
	struct bs_process **v; /* in the order in which they were met; never removed */
	size_t n, room;
	struct bs_process *by_pid; /* the latest one of each pid */
	size_t nalive;
};

/* Adds a process that lives now (a pid that came round again gets a new entry); NULL: no memory.
 * parent, when not NULL, gives the names until the child's own are read. */
struct bs_process *bs_followed_add(struct bs_followed *f, pid_t pid,
				   const struct bs_process *parent);
/* The latest process of that pid, or NULL. */
struct bs_process *bs_followed_find(const struct bs_followed *f, pid_t pid);
/*
 * The process has become another program, whose short name the kernel told (TASK_COMM_LEN bytes,
 * terminated).  Its file is read now, "?" if it has gone already.
 */
void bs_followed_exec(struct bs_process *p, const char comm[16]);
/* Reads name and CPU time again.  CPU time that cannot be read stays as it was. */
void bs_followed_refresh(struct bs_process *p);
void bs_followed_exit(struct bs_followed *f, struct bs_process *p);
/* CPU time used by all of them since they were met, as far as it was seen. */
uint64_t bs_followed_cpu_ns(const struct bs_followed *f);
void bs_followed_fini(struct bs_followed *f);

#endif
