// SPDX-License-Identifier: MIT
/* fd_new.c - the functions that give out descriptors; see fd.c. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/timerfd.h>

#include "runtime/preload/fd.h"

/* One that returns it. */
#define NEW_FD(name, parameters, args)         \
	BS_NEXT_DECLARE(name);                 \
	EXPORT int name parameters             \
	{                                      \
		int fd = CALL(-1, name, args); \
                                               \
		GOT(#name, fd, CALLER());      \
		return fd;                     \
	}

/* One that returns what it is in. */
#define NEW_IN(name, type, fd_of, parameters, args) \
	BS_NEXT_DECLARE(name);                      \
	EXPORT type *name parameters                \
	{                                           \
		type *in = CALL(NULL, name, args);  \
		int fd = in ? fd_of(in) : -1;       \
                                                    \
		GOT(#name, fd, CALLER());           \
		return in;                          \
	}

/* One that fills in two of them. */
#define NEW_PAIR(name, parameters, args)              \
	BS_NEXT_DECLARE(name);                        \
	EXPORT int name parameters                    \
	{                                             \
		int ret = CALL(-1, name, args);       \
                                                      \
		if (!ret) {                           \
			GOT(#name, fds[0], CALLER()); \
			GOT(#name, fds[1], CALLER()); \
		}                                     \
		return ret;                           \
	}

/* The mode is there only if it is needed. */
#define NEEDS_MODE(flags) ((flags)&O_CREAT || ((flags)&O_TMPFILE) == O_TMPFILE)
#define TAKE_MODE(mode, flags)                \
	do {                                  \
		va_list ap_;                  \
                                              \
		if (!NEEDS_MODE(flags))       \
			break;                \
		va_start(ap_, flags);         \
		(mode) = va_arg(ap_, mode_t); \
		va_end(ap_);                  \
	} while (0)

#define NEW_OPEN(name, dir, parameters, args)                           \
	BS_NEXT_DECLARE(name);                                          \
	EXPORT int name parameters                                      \
	{                                                               \
		mode_t mode = 0;                                        \
		int fd;                                                 \
                                                                        \
		TAKE_MODE(mode, flags);                                 \
		if (unlikely(!BS_NEXT(name)) && bs_next_early())        \
			return bs_early_openat(dir, path, flags, mode); \
		fd = CALL(-1, name, args);                              \
		GOT(#name, fd, CALLER());                               \
		return fd;                                              \
	}

/* What _FORTIFY_SOURCE makes of those without a mode. */
int __open_2(const char *path, int flags);
int __open64_2(const char *path, int flags);
int __openat_2(int dir, const char *path, int flags);
int __openat64_2(int dir, const char *path, int flags);

NEW_OPEN(open, AT_FDCWD, (const char *path, int flags, ...), (path, flags, mode))
NEW_OPEN(open64, AT_FDCWD, (const char *path, int flags, ...), (path, flags, mode))
NEW_OPEN(openat, dir, (int dir, const char *path, int flags, ...), (dir, path, flags, mode))
NEW_OPEN(openat64, dir, (int dir, const char *path, int flags, ...), (dir, path, flags, mode))
NEW_FD(__open_2, (const char *path, int flags), (path, flags))
NEW_FD(__open64_2, (const char *path, int flags), (path, flags))
NEW_FD(__openat_2, (int dir, const char *path, int flags), (dir, path, flags))
NEW_FD(__openat64_2, (int dir, const char *path, int flags), (dir, path, flags))
NEW_FD(creat, (const char *path, mode_t mode), (path, mode))
NEW_FD(creat64, (const char *path, mode_t mode), (path, mode))
NEW_FD(open_by_handle_at, (int dir, struct file_handle *handle, int flags), (dir, handle, flags))
NEW_FD(shm_open, (const char *name, int flags, mode_t mode), (name, flags, mode))
NEW_FD(memfd_create, (const char *name, unsigned flags), (name, flags))
NEW_FD(posix_openpt, (int flags), (flags))
NEW_FD(mkstemp, (char *path), (path))
NEW_FD(mkstemp64, (char *path), (path))
NEW_FD(mkostemp, (char *path, int flags), (path, flags))
NEW_FD(mkostemp64, (char *path, int flags), (path, flags))
NEW_FD(mkstemps, (char *path, int suffix), (path, suffix))
NEW_FD(mkstemps64, (char *path, int suffix), (path, suffix))
NEW_FD(mkostemps, (char *path, int suffix, int flags), (path, suffix, flags))
NEW_FD(mkostemps64, (char *path, int suffix, int flags), (path, suffix, flags))

NEW_IN(fopen, FILE, stream_fd, (const char *path, const char *mode), (path, mode))
NEW_IN(fopen64, FILE, stream_fd, (const char *path, const char *mode), (path, mode))
NEW_IN(tmpfile, FILE, stream_fd, (void), ())
NEW_IN(tmpfile64, FILE, stream_fd, (void), ())
NEW_IN(popen, FILE, stream_fd, (const char *command, const char *mode), (command, mode))
NEW_IN(opendir, DIR, dir_fd, (const char *path), (path))

NEW_FD(socket, (int domain, int type, int protocol), (domain, type, protocol))
NEW_FD(accept, (int from, __SOCKADDR_ARG addr, socklen_t *len), (from, addr, len))
NEW_FD(accept4, (int from, __SOCKADDR_ARG addr, socklen_t *len, int flags),
       (from, addr, len, flags))
NEW_PAIR(socketpair, (int domain, int type, int protocol, int fds[2]),
	 (domain, type, protocol, fds))
NEW_PAIR(pipe, (int fds[2]), (fds))
NEW_PAIR(pipe2, (int fds[2], int flags), (fds, flags))
NEW_FD(eventfd, (unsigned count, int flags), (count, flags))
NEW_FD(epoll_create, (int size), (size))
NEW_FD(epoll_create1, (int flags), (flags))
NEW_FD(timerfd_create, (clockid_t clock, int flags), (clock, flags))
NEW_FD(inotify_init, (void), ())
NEW_FD(inotify_init1, (int flags), (flags))
NEW_FD(dup, (int old), (old))

BS_NEXT_DECLARE(signalfd);
EXPORT int signalfd(int old, const sigset_t *mask, int flags)
{
	int fd = CALL(-1, signalfd, (old, mask, flags));

	/* Else it is the old one, with another mask. */
	if (old == -1)
		GOT("signalfd", fd, CALLER());
	return fd;
}

/* Other names, which some libraries use. */
ALIAS(open, __open);
ALIAS(open64, __open64);
ALIAS(pipe, __pipe);
