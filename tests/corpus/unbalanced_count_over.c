/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * unbalanced_count_over.c - an object is born with a second reference of which nothing was said,
 * and the inline functions of a header release both.
 *
 * expect: unbalanced-count obj at=@refs.h:drop since=@new
 */
#include "refs.h"

static struct obj object;

int main(void)
{
	wait_for_go();
	object.refs = 2;
	BSCOPE_NEW_SIZED(obj, &object, sizeof(object)); /* @new */
	obj_put(obj_get(&object));
	obj_put(&object);
	obj_put(&object);
	return 0;
}
