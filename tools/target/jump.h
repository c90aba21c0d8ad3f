/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * jump.h - from the sites of a process to the switches that can be lit in it: finds the runtime
 * that the stubs call, checks each stub, and says which sites must be lit by a trap, and why.
 *
 * Nothing here stops or changes a process but bs_jumps_number, which writes the sites' numbers into
 * their records.
 */
#ifndef BS_TARGET_JUMP_H
#define BS_TARGET_JUMP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "target/patch.h"

struct bs_error;
struct bs_module;

/* Why a site is not lit by a jump; as far as the file tells. */
enum bs_jump_why {
	BS_JUMP_OK = 0,
	BS_JUMP_NO_STUB = 1, /* built with BSCOPE_NO_RUNTIME */
	BS_JUMP_PAGE = 2,    /* its switch crosses a page: half of a write could fail */
	BS_JUMP_ODD = 3,     /* switch or stub are not as the macros make them */
	BS_JUMP_WHYS = 4,
};
/* "its switch crosses a page": follows "site ... is lit by a trap: "; constant. */
const char *bs_jump_why(enum bs_jump_why why);

/* What the file tells of the stubs of a module; in the order of its sites. */
struct bs_stub {
	uint64_t target; /* link-time address of what it calls, or of where that is written */
	uint8_t why;	 /* enum bs_jump_why */
	uint8_t bytes;	 /* of its code; 0: not known */
	bool indirect;
};
/* An array of m->nsites, for free(); NULL when out of memory. */
struct bs_stub *bs_stubs_read(const struct bs_module *m);

/* A module of the session and what belongs to it. */
struct bs_jump_module {
	const struct bs_module *m;
	const struct bs_stub *stubs;
	const bool *chosen;    /* by the user's filter; in the order of m->sites */
	const uint32_t *klass; /* number of the class of each */
	uint32_t first;	       /* number of its first site */
};

/* The pool of a runtime in a process. */
struct bs_jump_pool {
	uint64_t addr, buffers;
	uint64_t control; /* address of its struct bscope_control */
	uint64_t table;	  /* of a struct bscope_follow, its own or in use; 0: there is none */
	bool stacks;	  /* it can fire bscope:stack */
};

struct bs_jumps {
	struct bs_patch *v; /* switches by address; none crosses a page */
	uint32_t *index;    /* number of the site of each */
	uint64_t *record;   /* address of its record in the process */
	size_t n;
	struct bs_jump_pool *pools;
	size_t npools;
	size_t sites;	/* chosen ones that the process has mapped, lit by jumps or not */
	uint64_t pages; /* of memory that lighting all of them makes private to the process */
	size_t foreign; /* sites whose stub does not call a runtime that we know */
};

/*
 * What can be lit in the process now; nothing where it has mapped no chosen site.  Errors, with
 * err: -ESRCH; -ENOENT (it has no runtime: built with BSCOPE_NO_RUNTIME); -EAGAIN (its runtime is
 * not set up yet: it is just starting; or it is just loading a library with sites); -ENOTSUP (the
 * runtime is of another version, or got no memory for its buffers); -ENOMEM.
 */
int bs_jumps_find(pid_t pid, const struct bs_jump_module *modules, size_t n, struct bs_jumps *out,
		  struct bs_error *err);
/*
 * The same, for who has waited long enough: what is not linked never will be, since the process has
 * mapped it by itself, and its sites are foreign.
 */
int bs_jumps_find_linked(pid_t pid, const struct bs_jump_module *modules, size_t n,
			 struct bs_jumps *out, struct bs_error *err);
void bs_jumps_fini(struct bs_jumps *j);

/*
 * Writes the numbers into the records.  0 or -errno, then nothing may be lit; -EFAULT: a record is
 * not that of its switch any more.
 */
int bs_jumps_number(pid_t pid, const struct bs_jumps *j);

#endif
