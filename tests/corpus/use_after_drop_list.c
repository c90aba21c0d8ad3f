/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * use_after_drop_list.c - the list is freed node by node, and the next one read from what is gone.
 *
 * expect: use-after-drop node at=@next since=@free count=4
 */
#include "common.h"

struct node {
	struct node *next;
};
static struct node nodes[4];

static void list_free(struct node *n)
{
	while (n) {
		BSCOPE_DROP(node, n);		/* @free */
		BSCOPE_USE(node, n, list_free); /* @next */
		n = n->next;
	}
}

int main(void)
{
	struct node *list = NULL;

	wait_for_go();
	for (int i = 0; i < 4; i++) {
		nodes[i].next = list;
		list = &nodes[i];
		BSCOPE_NEW_SIZED(node, list, sizeof(*list));
	}
	list_free(list);
	return 0;
}
