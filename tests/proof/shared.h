/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * shared.h - inline functions with sites, included by several files of the proof.
 *
 * What a line of the proof's sources must leave in the binary stands behind it, in a comment that
 * begins with an at sign: kind:class:nargs:flags:name, several of them separated by two.
 */
#ifndef PROOF_SHARED_H
#define PROOF_SHARED_H

#include <stddef.h>
#include <stdint.h>

#include <bscope/bscope.h>

struct obj {
	struct obj *next;
	long refs;
	unsigned flags : 3;
	char data[32];
};

#ifdef __cplusplus
extern "C" {
#endif
/* Opaque to the compiler. */
void sink(const void *p);
long number(const void *p, const char *text);
#ifdef __cplusplus
}
#endif

static inline long shared_refs(struct obj *o)
{
	BSCOPE_USE(obj, o, 7); //@ use:obj:2:0:o
	return o->refs;
}

static inline void shared_get(struct obj *o)
{
	o->refs++;
	BSCOPE_RETAIN(obj, o); //@ retain:obj:1:0:o
}

static inline void shared_put(struct obj *o)
{
	BSCOPE_RELEASE(obj, o); //@ release:obj:1:0:o
	o->refs--;
}

#endif
