/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * ok_same_id.c - a struct and its first member have one address and two lives.
 *
 * expect: nothing
 */
#include "common.h"

struct sock {
	int fd;
};
static struct conn {
	struct sock sock;
	char name[12];
} conn;
static int reader, writer, buf;

int main(void)
{
	wait_for_go();
	BSCOPE_NEW_SIZED(conn, &conn, sizeof(conn));
	BSCOPE_NEW_SIZED(sock, &conn.sock, sizeof(conn.sock));
	BSCOPE_NEW(buf, &buf);
	BSCOPE_BORROW_MUT(conn, &conn, &writer);
	BSCOPE_BORROW(sock, &conn.sock, &reader);
	BSCOPE_UNBORROW(sock, &conn.sock, &reader);
	BSCOPE_UNBORROW(conn, &conn, &writer);
	BSCOPE_RETAIN(conn, &conn);
	BSCOPE_MOVE(sock, &conn.sock, &writer);
	BSCOPE_USE(conn, &conn, &reader);
	/* Borrowed by the connection, which outlives its socket. */
	BSCOPE_BORROW(buf, &buf, &conn);
	BSCOPE_DROP(sock, &conn.sock);
	BSCOPE_USE(conn, &conn, &reader);
	BSCOPE_UNBORROW(buf, &buf, &conn);
	BSCOPE_RELEASE(conn, &conn);
	BSCOPE_RELEASE(conn, &conn);
	BSCOPE_DROP(conn, &conn);
	BSCOPE_DROP(buf, &buf);
	return 0;
}
