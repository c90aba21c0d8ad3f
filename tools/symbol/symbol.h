/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * symbol.h - names for addresses of code in traced processes.
 *
 * An address is interned while its process lives: (file, offset) is what the number stands for,
 * so that the same caller in two processes is the same, and the name can be found later.  A
 * name is right or it is "[module+0xoffset]"; never a wrong one.
 */
#ifndef BS_SYMBOL_SYMBOL_H
#define BS_SYMBOL_SYMBOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct bs_code;
struct bs_error;

/* now_ns: CLOCK_MONOTONIC, never 0. */
struct bs_code *bs_code_new(uint64_t now_ns);
void bs_code_free(struct bs_code *c);

/* Time has come to now_ns: mappings that were read a second ago are not trusted any more. */
void bs_code_tick(struct bs_code *c, uint64_t now_ns);

/* The number of the code at addr in pid, dense from 1; fits bs_decode_code_fn.  Never fails:
 * an address that cannot be placed is kept as it is, 0 when out of memory. */
uint32_t bs_code_intern(void *code, uint32_t pid, uint64_t addr);

/* The same if it is known without looking at the process; else 0. */
uint32_t bs_code_known(struct bs_code *c, uint32_t pid, uint64_t addr);

/* Is addr in the static data of a file that pid has loaded, zeroed variables among them? */
bool bs_code_static(struct bs_code *c, uint32_t pid, uint64_t addr);

/* Is addr in the text of a file that pid has mapped, or is that nobody's knowledge any more? */
bool bs_code_text(struct bs_code *c, uint32_t pid, uint64_t addr);

/* The mappings of pid have changed (exec, dlopen): forget what was cached for it; a child of a
 * fork starts with its parent's. */
void bs_code_invalidate(struct bs_code *c, uint32_t pid);
void bs_code_fork(struct bs_code *c, uint32_t parent, uint32_t child);

/*
 * A directory in which debug files, and programs that were not stripped, are looked for before they
 * are in the root of the process and in our own.  Once, before names are asked for.
 */
int bs_code_sysroot(struct bs_code *c, const char *dir, struct bs_error *err);

/* An address has at most so many: what is inlined deeper into one another lacks the outer ones. */
#define BS_CODE_FRAMES 64u

/* One function at an address: the innermost inlined one first. */
struct bs_frame {
	const char *function; /* demangled */
	const char *file;     /* as the compiler was given it, or whole; NULL: not known */
	uint32_t line;	      /* 0: not known */
	bool inlined;	      /* into the next one */
};

/* An address that a name is wanted for.  is_return: a return address, the call is before it. */
struct bs_code_ask {
	uint32_t code;
	bool is_return;
};

/*
 * Looks up the names of many codes at once, in a process of its own (look.h): what is asked for
 * one by one afterwards is known.  more, if not NULL, is called several times a second with how
 * many of how many are done, and ends it with false.  Takes at most two minutes.
 *
 * 0 also where names were not found; -ECANCELED, -ETIME, -ENOMEM or -errno: some were not looked
 * for, and are not looked for again.  What names together may take is bounded: 2 million frames
 * and 64 MiB of text here, 512 MiB in the other process.
 */
int bs_code_resolve(struct bs_code *c, const struct bs_code_ask *asks, size_t n,
		    bool (*more)(void *ctx, size_t done, size_t total), void *ctx);

/*
 * The frames of a code address, at most max; returns how many, 0 if there is no name (then
 * bs_code_name has "[module+0x..]").  Strings are borrowed from c.  One that was not resolved is
 * looked up alone, which takes milliseconds.
 */
size_t bs_code_frames(struct bs_code *c, uint32_t code, bool is_return, struct bs_frame *out,
		      size_t max);

/*
 * The name, borrowed until the next call, of the function that is not inlined, and where in it the
 * address is, without folders: "leak_one at daemon.c:17", without lines "leak_one+0x1f (daemon)",
 * without symbols "[libfoo.so+0x4711]", "0x7f..." when it is in no file, "[process gone]" when the
 * process went before anybody could look.  NULL for 0.  Looked up as by bs_code_frames.
 */
const char *bs_code_name(struct bs_code *c, uint32_t code, bool is_return);

/* Were there more files than are kept?  Code in the others is an address without a name. */
bool bs_code_full(const struct bs_code *c);

/*
 * How many files there are of which names were not read because that crashed, took too long or too
 * much memory; *one: one of them, borrowed.
 */
size_t bs_code_failed(const struct bs_code *c, const char **one);

#endif
