/* SPDX-License-Identifier: GPL-2.0-only */
/* folded.h - folded stacks: text that many tools write, one stack a line. */
#ifndef BS_FLAME_FOLDED_H
#define BS_FLAME_FOLDED_H

#include <stdio.h>

struct bs_error;
struct bs_flame;

/* The longest line that is read, in bytes. */
#define BS_FOLDED_LINE (64u << 20)

/*
 * Adds each line `frame;frame;...;leaf COUNT` of in to the tree.  COUNT is a whole decimal number
 * after the last space.  Lines that are empty or begin with `#` are skipped; a line may end in CR
 * LF; the last needs no end.  A NUL byte in a name becomes \x00, other bytes stay as they are.
 *
 * Returns 0; -EINVAL or -EOVERFLOW for input that is none, -errno of the stream, -ENOMEM.  Then err
 * has one sentence with file (the name), line and remedy; lines before that one are in the tree.
 */
int bs_folded_read(struct bs_flame *f, FILE *in, const char *name, struct bs_error *err);

#endif
