/* SPDX-License-Identifier: GPL-2.0-only */
/* eintr_sockets.h - calls that block on sockets. */
#ifndef EINTR_SOCKETS_H
#define EINTR_SOCKETS_H

#include "eintr.h"

#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>

static void receive_within(struct seat *s, int fd, int option, int ms)
{
	struct timeval tv = {ms / 1000, ms % 1000 * 1000}; /* 0: no limit */

	if (ms < 0)
		tv.tv_sec = tv.tv_usec = 0;
	NEED(!setsockopt(fd, SOL_SOCKET, option, &tv, sizeof(tv)));
}

static socklen_t address(struct seat *s, struct sockaddr_un *to)
{
	memset(to, 0, sizeof(*to));
	to->sun_family = AF_UNIX;
	return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 +
			   (size_t)snprintf(to->sun_path + 1, sizeof(to->sun_path) - 1,
					    "bscope-eintr-%d-%d", getpid(), s->tid));
}

static void socket_prepare(struct seat *s)
{
	int fds[2];

	NEED(!socketpair(AF_UNIX, SOCK_DGRAM, 0, fds));
	s->a = fds[0];
	s->b = fds[1];
}

static bool socket_wake(struct seat *s)
{
	return send(s->b, "x", 1, MSG_DONTWAIT) == 1;
}

static int wait_recv(struct seat *s, int ms)
{
	char byte;

	receive_within(s, s->a, SO_RCVTIMEO, ms);
	seat_enter(s);
	return timed_result(seat_leave(s, recv(s->a, &byte, 1, 0)), EAGAIN);
}

static int wait_recvmsg(struct seat *s, int ms)
{
	char byte;
	struct iovec iov = {&byte, 1};
	struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};

	receive_within(s, s->a, SO_RCVTIMEO, ms);
	seat_enter(s);
	return timed_result(seat_leave(s, recvmsg(s->a, &msg, 0)), EAGAIN);
}

static int wait_recvmmsg(struct seat *s, int ms)
{
	char byte;
	struct iovec iov = {&byte, 1};
	struct mmsghdr msg = {.msg_hdr = {.msg_iov = &iov, .msg_iovlen = 1}};

	receive_within(s, s->a, SO_RCVTIMEO, ms);
	seat_enter(s);
	return timed_result(seat_leave(s, recvmmsg(s->a, &msg, 1, 0, NULL)), EAGAIN);
}

static int wait_read_socket(struct seat *s, int ms)
{
	char byte;

	receive_within(s, s->a, SO_RCVTIMEO, ms);
	seat_enter(s);
	return timed_result(seat_leave(s, read(s->a, &byte, 1)), EAGAIN);
}

/*
 * To a receiver that is nobody's peer: then it is the number of messages that blocks the sender,
 * and receiving one lets it send one.
 */
static void full_socket_prepare(struct seat *s)
{
	struct sockaddr_un to;
	socklen_t size = address(s, &to);

	NEED((s->a = socket(AF_UNIX, SOCK_DGRAM, 0)) >= 0);
	NEED((s->b = socket(AF_UNIX, SOCK_DGRAM, 0)) >= 0);
	NEED(!bind(s->b, (struct sockaddr *)&to, size));
	NEED(!connect(s->a, (struct sockaddr *)&to, size));
	while (send(s->a, "x", 1, MSG_DONTWAIT) == 1)
		;
}

static bool full_socket_wake(struct seat *s)
{
	char byte;

	return recv(s->b, &byte, 1, MSG_DONTWAIT) == 1;
}

static int wait_send(struct seat *s, int ms)
{
	receive_within(s, s->a, SO_SNDTIMEO, ms);
	seat_enter(s);
	return timed_result(seat_leave(s, send(s->a, "x", 1, 0)), EAGAIN);
}

static void listen_prepare(struct seat *s)
{
	struct sockaddr_un to;
	socklen_t size = address(s, &to);

	NEED((s->a = socket(AF_UNIX, SOCK_STREAM, 0)) >= 0);
	NEED(!bind(s->a, (struct sockaddr *)&to, size));
	NEED(!listen(s->a, 1));
}

static bool connect_once(struct seat *s, int *keep)
{
	struct sockaddr_un to;
	socklen_t size = address(s, &to);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
	bool done = !connect(fd, (struct sockaddr *)&to, size);

	if (done && keep)
		*keep = fd;
	else
		close(fd);
	return done;
}

static bool listen_wake(struct seat *s)
{
	return connect_once(s, NULL);
}

static int wait_accept(struct seat *s, int ms)
{
	long fd;

	receive_within(s, s->a, SO_RCVTIMEO, ms);
	seat_enter(s);
	fd = seat_leave(s, accept(s->a, NULL, NULL));
	if (fd >= 0)
		close((int)fd);
	return timed_result(fd, EAGAIN);
}

static int wait_accept4(struct seat *s, int ms)
{
	long fd;

	receive_within(s, s->a, SO_RCVTIMEO, ms);
	seat_enter(s);
	fd = seat_leave(s, accept4(s->a, NULL, NULL, SOCK_CLOEXEC));
	if (fd >= 0)
		close((int)fd);
	return timed_result(fd, EAGAIN);
}

/* Connecting where the queue is full, until somebody accepts. */
static void full_listen_prepare(struct seat *s)
{
	int fd;

	listen_prepare(s);
	while (connect_once(s, &fd))
		;
}

static bool full_listen_wake(struct seat *s)
{
	int fd = accept4(s->a, NULL, NULL, SOCK_NONBLOCK);

	if (fd >= 0)
		close(fd);
	return fd >= 0;
}

static int wait_connect(struct seat *s, int ms)
{
	struct sockaddr_un to;
	socklen_t size = address(s, &to);
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);
	long r;

	receive_within(s, fd, SO_SNDTIMEO, ms);
	seat_enter(s);
	r = seat_leave(s, connect(fd, (struct sockaddr *)&to, size));
	close(fd);
	return timed_result(r, EAGAIN);
}

#endif
