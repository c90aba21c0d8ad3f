/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * use_after_drop_unborrow.c - two readers end after the drop.  Of one that is why the drop was
 * wrong; the other had not begun.
 *
 * expect: drop-while-borrowed doc at=@drop since=@borrow
 * expect: use-after-drop doc at=@stray since=@drop
 */
#include "common.h"

static int document, reader, stranger;

int main(void)
{
	wait_for_go();
	BSCOPE_NEW(doc, &document);
	BSCOPE_BORROW(doc, &document, &reader); /* @borrow */
	BSCOPE_DROP(doc, &document);		/* @drop */
	BSCOPE_UNBORROW(doc, &document, &reader);
	BSCOPE_UNBORROW(doc, &document, &stranger); /* @stray */
	return 0;
}
