/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * use_after_drop.c - every kind of mark that needs an object, on one that is gone.
 *
 * expect: use-after-drop obj at=@retain since=@drop
 * expect: use-after-drop obj at=@release since=@drop
 * expect: use-after-drop obj at=@use since=@drop
 * expect: use-after-drop obj at=@borrow since=@drop
 * expect: use-after-drop obj at=@unborrow since=@drop
 * expect: use-after-drop obj at=@borrow_mut since=@drop
 * expect: use-after-drop obj at=@unborrow_mut since=@drop
 * expect: use-after-drop obj at=@move since=@drop
 * expect: use-after-drop obj at=@resize since=@drop
 */
#include "common.h"

static char object[16];
static int user;

int main(void)
{
	wait_for_go();
	BSCOPE_NEW(obj, object);
	BSCOPE_DROP(obj, object);	       /* @drop */
	BSCOPE_RETAIN(obj, object);	       /* @retain */
	BSCOPE_RELEASE(obj, object);	       /* @release */
	BSCOPE_USE(obj, object, &user);	       /* @use */
	BSCOPE_BORROW(obj, object, &user);     /* @borrow */
	BSCOPE_UNBORROW(obj, object, &user);   /* @unborrow */
	BSCOPE_BORROW_MUT(obj, object, &user); /* @borrow_mut */
	BSCOPE_UNBORROW(obj, object, &user);   /* @unborrow_mut */
	BSCOPE_MOVE(obj, object, &user);       /* @move */
	BSCOPE_RESIZE_BEGIN(obj, object);      /* @resize */
	BSCOPE_RESIZE_END(obj, object, sizeof(object));
	return 0;
}
