// SPDX-License-Identifier: GPL-2.0-only
/*
 * fd_wrong.c - what a program does with descriptors, right or wrong, as is known.
 *
 *	fd_wrong twice|stream|leak N|sweep|unseen|loop N
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#define SEPARATE __attribute__((noinline, noclone))

static int null(void)
{
	return open("/dev/null", O_RDONLY);
}

SEPARATE static void close_first(int fd)
{
	close(fd);
	__asm__ volatile("# else they are one and the same function");
}

SEPARATE static void close_again(int fd)
{
	close(fd);
	__asm__ volatile("");
}

SEPARATE static int leak_one(void)
{
	int fd = null();

	__asm__ volatile("");
	return fd;
}

/* One end of the number goes round by a message. */
static int by_message(int fd)
{
	union {
		char room[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} u;
	char byte = 0;
	struct iovec iov = {&byte, 1};
	struct msghdr msg = {.msg_iov = &iov,
			     .msg_iovlen = 1,
			     .msg_control = u.room,
			     .msg_controllen = sizeof(u.room)};
	int pair[2], got;

	memset(&u, 0, sizeof(u));
	socketpair(AF_UNIX, SOCK_STREAM, 0, pair);
	CMSG_FIRSTHDR(&msg)->cmsg_level = SOL_SOCKET;
	CMSG_FIRSTHDR(&msg)->cmsg_type = SCM_RIGHTS;
	CMSG_FIRSTHDR(&msg)->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(CMSG_FIRSTHDR(&msg)), &fd, sizeof(fd));
	sendmsg(pair[0], &msg, 0);
	msg.msg_controllen = sizeof(u.room);
	if (recvmsg(pair[1], &msg, 0) != 1)
		abort();
	memcpy(&got, CMSG_DATA(CMSG_FIRSTHDR(&msg)), sizeof(got));
	close(pair[0]);
	close(pair[1]);
	return got;
}

/* Descriptors that come by means that are not seen, on numbers that were others' before. */
static void unseen(void)
{
	int fd, old;

	for (int i = 0; i < 20; i++)
		close(null());
	for (int i = 0; i < 3; i++) {
		fd = (int)syscall(SYS_openat, AT_FDCWD, "/dev/null", O_RDONLY);
		close(fd);
	}
	for (int i = 0; i < 3; i++) {
		old = null();
		fd = by_message(old);
		close(old);
		close(fd);
	}
	/* And those that go like that. */
	fd = null();
	syscall(SYS_close, fd);
	if (null() != fd)
		abort();
	close(fd);
}

static void *open_and_close(void *arg)
{
	for (long n = *(long *)arg; n--;)
		close(null());
	return NULL;
}

int main(int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "";
	long n = argc > 2 ? atol(argv[2]) : 0;

	if (!strcmp(what, "twice")) {
		int fd = null();

		close_first(fd);
		close_again(fd);
	} else if (!strcmp(what, "stream")) {
		FILE *f = fopen("/dev/null", "r");

		close(fileno(f));
		fclose(f);
	} else if (!strcmp(what, "leak")) {
		while (n--)
			leak_one();
	} else if (!strcmp(what, "sweep")) {
		/* As daemons do, before and after some work; all numbers were open once. */
		for (int i = 0; i < 3; i++) {
			for (int k = 0; k < 10; k++)
				null();
			for (int fd = 3; fd < 200; fd++)
				close(fd);
			for (int fd = 12; fd > 2; fd--)
				close(fd);
		}
	} else if (!strcmp(what, "unseen")) {
		unseen();
	} else if (!strcmp(what, "loop")) {
		pthread_t t[4];

		for (int i = 0; i < 4; i++)
			pthread_create(&t[i], NULL, open_and_close, &n);
		for (int i = 0; i < 4; i++)
			pthread_join(t[i], NULL);
	} else {
		return 64;
	}
	usleep(100000); /* so that who traces can see what is mapped where */
	return 0;
}
