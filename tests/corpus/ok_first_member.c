/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * ok_first_member.c - a struct and its first member have one address.  The struct is there before
 * anybody looks, and has what it has when the member, which is not, is dropped.
 *
 * expect: nothing
 */
#include "common.h"

static struct session {
	struct parser {
		int state;
	} parser;
	int user;
} session;
static int table, buf;

int main(void)
{
	BSCOPE_NEW(session, &session);
	BSCOPE_NEW(table, &table);
	BSCOPE_NEW(buf, &buf);
	wait_for_go();
	BSCOPE_NEW(parser, &session.parser);
	BSCOPE_BORROW(table, &table, &session);
	BSCOPE_MOVE(buf, &buf, &session);
	BSCOPE_DROP(parser, &session.parser);
	apart();
	BSCOPE_UNBORROW(table, &table, &session);
	BSCOPE_DROP(table, &table);
	/* The session and its buffer are there until the end. */
	return 0;
}
