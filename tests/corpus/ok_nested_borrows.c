/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * ok_nested_borrows.c - borrows within borrows of one holder, shared and exclusive, and holders
 * that take turns; the last level ends before the object does.
 *
 * expect: nothing
 */
#include "common.h"

static int tree, a, b;

static void walk(int *by, int depth)
{
	if (depth % 3 == 2)
		BSCOPE_BORROW_MUT(tree, &tree, by);
	else
		BSCOPE_BORROW(tree, &tree, by);
	if (depth < 20)
		walk(by, depth + 1);
	BSCOPE_UNBORROW(tree, &tree, by);
}

int main(void)
{
	wait_for_go();
	BSCOPE_NEW(tree, &tree);
	walk(&a, 0);
	walk(&b, 0);
	/* Two readers, of whom the first is still there when the second writes: after it has ended.
	 */
	BSCOPE_BORROW(tree, &tree, &a);
	BSCOPE_BORROW(tree, &tree, &b);
	BSCOPE_BORROW(tree, &tree, &a);
	BSCOPE_UNBORROW(tree, &tree, &a);
	BSCOPE_UNBORROW(tree, &tree, &a);
	BSCOPE_BORROW_MUT(tree, &tree, &b);
	BSCOPE_UNBORROW(tree, &tree, &b);
	BSCOPE_BORROW(tree, &tree, &a);
	BSCOPE_UNBORROW(tree, &tree, &b);
	BSCOPE_UNBORROW(tree, &tree, &a);
	BSCOPE_DROP(tree, &tree);
	return 0;
}
