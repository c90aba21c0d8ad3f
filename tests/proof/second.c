// SPDX-License-Identifier: GPL-2.0-only
/* second.c - a second file of the proof, C and C++: the same inline functions once more. */
#include "shared.h"

#ifdef __cplusplus
extern "C" {
#endif
long second_use(struct obj *o);
void gc_unreferenced(struct obj *o);
#ifdef __cplusplus
}
#endif

long second_use(struct obj *o)
{
	shared_get(o);
	sink(o);
	shared_put(o);
	return shared_refs(o);
}

/* Nobody calls this one. */
void gc_unreferenced(struct obj *o)
{
	BSCOPE_DROP(gc, o); //@ drop:gc:1:0:o
	sink(o->data + 1);
}
