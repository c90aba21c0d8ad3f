/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * drop_while_borrowed_nested.c - a borrow of two levels, of which one has ended.
 *
 * expect: drop-while-borrowed tree at=@drop since=@outer count=2
 */
#include "common.h"

static int trees[2], walker;

int main(void)
{
	wait_for_go();
	for (int i = 0; i < 2; i++) {
		int *tree = &trees[i];

		BSCOPE_NEW(tree, tree);
		BSCOPE_BORROW(tree, tree, &walker); /* @outer */
		BSCOPE_BORROW(tree, tree, &walker);
		BSCOPE_UNBORROW(tree, tree, &walker);
		BSCOPE_DROP(tree, tree); /* @drop */
		BSCOPE_UNBORROW(tree, tree, &walker);
	}
	return 0;
}
