/* SPDX-License-Identifier: GPL-2.0-only */
/* refs.h - objects with a reference count, by inline functions. */
#ifndef CORPUS_REFS_H
#define CORPUS_REFS_H

#include "common.h"

struct obj {
	int refs;
	char what[28];
};

static inline struct obj *obj_get(struct obj *o)
{
	__atomic_fetch_add(&o->refs, 1, __ATOMIC_RELAXED);
	BSCOPE_RETAIN(obj, o);
	return o;
}

/* True if it was the last. */
static inline int obj_put(struct obj *o)
{
	BSCOPE_RELEASE(obj, o); /* @release */
	if (__atomic_sub_fetch(&o->refs, 1, __ATOMIC_ACQ_REL))
		return 0;
	BSCOPE_DROP(obj, o); /* @drop */
	return 1;
}

#endif
