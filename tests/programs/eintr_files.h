/* SPDX-License-Identifier: GPL-2.0-only */
/* eintr_files.h - calls that block on pipes, files and locks. */
#ifndef EINTR_FILES_H
#define EINTR_FILES_H

#include "eintr.h"

#include <sys/file.h>
#include <sys/inotify.h>
#include <sys/stat.h>

static void pipe_prepare(struct seat *s)
{
	int fds[2];

	NEED(!pipe(fds));
	s->a = fds[0];
	s->b = fds[1];
}

static bool pipe_wake(struct seat *s)
{
	return write(s->b, "x", 1) == 1;
}

static int wait_pipe(struct seat *s, int ms)
{
	char byte;

	(void)ms;
	seat_enter(s);
	return counted_result(seat_leave(s, read(s->a, &byte, 1)));
}

static void full_pipe_prepare(struct seat *s)
{
	static const char zeros[4096];

	pipe_prepare(s);
	NEED(!fcntl(s->b, F_SETFL, O_NONBLOCK));
	while (write(s->b, zeros, sizeof(zeros)) == sizeof(zeros))
		;
	NEED(!fcntl(s->b, F_SETFL, 0));
}

static bool full_pipe_wake(struct seat *s)
{
	char page[4096];

	return read(s->a, page, sizeof(page)) == sizeof(page);
}

static int wait_full_pipe(struct seat *s, int ms)
{
	static const char zeros[4096];

	(void)ms;
	seat_enter(s);
	return counted_result(seat_leave(s, write(s->b, zeros, sizeof(zeros))));
}

static void temporary(struct seat *s)
{
	snprintf(s->path, sizeof(s->path), "/tmp/bscope-eintr-%d-%d", getpid(), s->tid);
}

static void fifo_prepare(struct seat *s)
{
	temporary(s);
	NEED(!mkfifo(s->path, 0600));
}

static bool fifo_wake(struct seat *s)
{
	int fd = open(s->path, O_WRONLY | O_NONBLOCK);

	if (fd >= 0)
		close(fd);
	return fd >= 0;
}

static int wait_open_fifo(struct seat *s, int ms)
{
	long fd;

	(void)ms;
	seat_enter(s);
	fd = seat_leave(s, open(s->path, O_RDONLY));
	if (fd >= 0)
		close((int)fd);
	return timed_result(fd, EAGAIN);
}

static void inotify_prepare(struct seat *s)
{
	temporary(s);
	NEED((s->b = open(s->path, O_CREAT | O_RDWR, 0600)) >= 0);
	NEED((s->a = inotify_init1(0)) >= 0);
	NEED(inotify_add_watch(s->a, s->path, IN_MODIFY) >= 0);
}

static bool inotify_wake(struct seat *s)
{
	return pwrite(s->b, "x", 1, 0) == 1;
}

static int wait_inotify(struct seat *s, int ms)
{
	char events[4096];

	(void)ms;
	seat_enter(s);
	return counted_result(seat_leave(s, read(s->a, events, sizeof(events))));
}

/* a waits for the lock that b has; woken it gives it back. */
static void lock_prepare(struct seat *s)
{
	temporary(s);
	NEED((s->a = open(s->path, O_CREAT | O_RDWR, 0600)) >= 0);
	NEED((s->b = open(s->path, O_RDWR)) >= 0);
	unlink(s->path);
}

static void flock_prepare(struct seat *s)
{
	lock_prepare(s);
	NEED(!flock(s->b, LOCK_EX));
}

static bool flock_wake(struct seat *s)
{
	return !flock(s->b, LOCK_UN);
}

static int wait_flock(struct seat *s, int ms)
{
	long r;

	(void)ms;
	seat_enter(s);
	r = seat_leave(s, flock(s->a, LOCK_EX));
	if (r < 0)
		return (int)r;
	NEED(!flock(s->a, LOCK_UN));
	NEED(!flock(s->b, LOCK_EX | LOCK_NB));
	return WOKEN;
}

static int record_lock(int fd, int command, short type)
{
	struct flock lock = {.l_type = type, .l_whence = SEEK_SET};

	return fcntl(fd, command, &lock);
}

static void fcntl_prepare(struct seat *s)
{
	lock_prepare(s);
	NEED(!record_lock(s->b, F_OFD_SETLK, F_WRLCK));
}

static bool fcntl_wake(struct seat *s)
{
	return !record_lock(s->b, F_OFD_SETLK, F_UNLCK);
}

static int wait_fcntl(struct seat *s, int ms)
{
	long r;

	(void)ms;
	seat_enter(s);
	r = seat_leave(s, record_lock(s->a, F_OFD_SETLKW, F_WRLCK));
	if (r < 0)
		return (int)r;
	NEED(!record_lock(s->a, F_OFD_SETLK, F_UNLCK));
	NEED(!record_lock(s->b, F_OFD_SETLK, F_WRLCK));
	return WOKEN;
}

#endif
