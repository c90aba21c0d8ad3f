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
 * The name, borrowed until the next call: "leak_one+0x1f (daemon)", "[libfoo.so+0x4711]",
 * "0x7f..." when it is in no file,
 * "[process gone]" when the process went before anybody could look.  is_return: addr was a return
 * address, so the call is one byte before it.  NULL for 0.
 */
const char *bs_code_name(struct bs_code *c, uint32_t code, bool is_return);

#endif
