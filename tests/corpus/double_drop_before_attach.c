/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * double_drop_before_attach.c - objects that nobody saw being made: two drops are one too many.
 *
 * expect: double-drop session at=@timeout since=@logout count=2
 */
#include "common.h"

static int sessions[3];

int main(void)
{
	for (int i = 0; i < 3; i++)
		BSCOPE_NEW(session, &sessions[i]);
	wait_for_go();
	for (int i = 0; i < 3; i++)
		BSCOPE_DROP(session, &sessions[i]); /* @logout */
	for (int i = 1; i < 3; i++)
		BSCOPE_DROP(session, &sessions[i]); /* @timeout */
	return 0;
}
