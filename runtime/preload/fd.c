// SPDX-License-Identifier: MIT
/*
 * fd.c - file descriptors as sites of class `fd`, for programs that nobody wants to change.  The
 * object is the number.
 *
 *   new     after the descriptor was got: open and its like, socket, accept, dup, pipe, eventfd,
 *           fopen, popen, opendir, mkstemp ..., with the caller's return address
 *   drop    before it is given back: close, fclose, pclose, closedir, freopen, close_range,
 *           closefrom; and by dup2 and dup3, whose new number is closed first if it was open
 *
 * fdopen and fdopendir make no new: the descriptor is there already, and fclose or closedir give it
 * back.
 *
 * Closing what is not open.  A program may close all numbers there are, to be sure that it hands
 * nothing on; so may it close one that was opened by means which are not seen here.  Before the
 * call nobody knows whether there is anything.  Therefore the mark before it says only that it is
 * tried (BSCOPE_SITE_TRIES), and a second one after it, if it fails with EBADF, that nothing was
 * there: the number was closed already.  From that the model tells a descriptor that was closed
 * twice (its new and its first drop were seen) from a sweep (the same call closes numbers that
 * never were any).  Numbers that no function here has given out are not marked when they are
 * closed, only when closing them finds nothing.
 *
 * Not seen: descriptors that come by inheritance, by recvmsg or by syscall(2), those that the C
 * library opens for itself, message queues, and static programs.  They are unknown: no verdict
 * comes of them.
 *
 * While a tracer is attached, and only then, dup2, dup3, fclose and its like, close_range and
 * closefrom ask by fcntl(F_GETFD) whether a descriptor is open.  Nothing else here makes a call
 * that the program does not make.  Results, errno and cancellation points are those of the
 * function behind.
 *
 * Nothing locks or allocates.  All that is kept is which numbers were given out, once set never
 * cleared, so that neither fork nor a child that shares memory (vfork) makes it wrong.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdarg.h>
#include <sys/syscall.h>

#include "runtime/preload/fd.h"

uint64_t bs_given[BS_GIVEN_MAX / 64];

/* By traps or by jumps. */
static bool attached(void)
{
	return bscope_semaphore || bs_control.semaphore;
}

BS_NEXT_DECLARE(fcntl);

/* Leaves errno alone. */
static bool is_open(int fd)
{
	int saved = errno;
	bool open = fd >= 0 && CALL(-1, fcntl, (fd, F_GETFD)) >= 0;

	errno = saved;
	return open;
}

/* --- duplicates ---------------------------------------------------------------------------------
 */

/*
 * The new number is closed first, if it was open and all is well with the old one.  Nobody else
 * can get it in between.
 */
static bool replaces(int old, int new)
{
	return attached() && old != new &&given(new) && is_open(old) && is_open(new);
}

/* If it did not come to that, the number is what it was. */
#define DUPLICATED(fn, old, new, ret, replaced)                   \
	do {                                                      \
		if ((replaced) || ((ret) >= 0 && (old) != (new))) \
			GOT(fn, new, CALLER());                   \
	} while (0)

BS_NEXT_DECLARE(dup2);
EXPORT int dup2(int old, int new)
{
	bool replaced = replaces(old, new);
	int ret;

	if (replaced)
		MARK_DROP("dup2", new, 0, CALLER());
	ret = CALL(-1, dup2, (old, new));
	DUPLICATED("dup2", old, new, ret, replaced);
	return ret;
}

BS_NEXT_DECLARE(dup3);
EXPORT int dup3(int old, int new, int flags)
{
	bool replaced = !(flags & ~O_CLOEXEC) && replaces(old, new);
	int ret;

	if (replaced)
		MARK_DROP("dup3", new, 0, CALLER());
	ret = CALL(-1, dup3, (old, new, flags));
	DUPLICATED("dup3", old, new, ret, replaced);
	return ret;
}

/* The third argument is passed on as it came, whatever the command takes. */
#define FCNTL(name)                                           \
	do {                                                  \
		va_list ap_;                                  \
		void *arg_;                                   \
		int ret_;                                     \
                                                              \
		va_start(ap_, cmd);                           \
		arg_ = va_arg(ap_, void *);                   \
		va_end(ap_);                                  \
		ret_ = CALL(-1, name, (fd, cmd, arg_));       \
		if (cmd == F_DUPFD || cmd == F_DUPFD_CLOEXEC) \
			GOT(#name, ret_, CALLER());           \
		return ret_;                                  \
	} while (0)

EXPORT int fcntl(int fd, int cmd, ...)
{
	FCNTL(fcntl);
}

BS_NEXT_DECLARE(fcntl64);
EXPORT int fcntl64(int fd, int cmd, ...)
{
	FCNTL(fcntl64);
}

/* --- streams and directories --------------------------------------------------------------------
 */

/*
 * A descriptor goes with what it is in.  EBADF of fclose may also mean that nothing could be
 * written, so what is not open is found out before.
 */
#define GOES_WITH(fn, fd)                                             \
	do {                                                          \
		bool vain_ = (fd) >= 0 && attached() && !is_open(fd); \
                                                                      \
		if (given(fd))                                        \
			MARK_DROP(fn, fd, 0, CALLER());               \
		if (vain_)                                            \
			MARK_DROP(fn, fd, 1, CALLER());               \
	} while (0)

BS_NEXT_DECLARE(freopen);
EXPORT FILE *freopen(const char *path, const char *mode, FILE *f)
{
	int fd = stream_fd(f);

	GOES_WITH("freopen", fd);
	f = CALL(NULL, freopen, (path, mode, f));
	fd = f ? stream_fd(f) : -1;
	GOT("freopen", fd, CALLER());
	return f;
}

BS_NEXT_DECLARE(freopen64);
EXPORT FILE *freopen64(const char *path, const char *mode, FILE *f)
{
	int fd = stream_fd(f);

	GOES_WITH("freopen64", fd);
	f = CALL(NULL, freopen64, (path, mode, f));
	fd = f ? stream_fd(f) : -1;
	GOT("freopen64", fd, CALLER());
	return f;
}

BS_NEXT_DECLARE(fclose);
EXPORT int fclose(FILE *f)
{
	int fd = stream_fd(f);

	GOES_WITH("fclose", fd);
	return CALL(EOF, fclose, (f));
}

BS_NEXT_DECLARE(pclose);
EXPORT int pclose(FILE *f)
{
	int fd = stream_fd(f);

	GOES_WITH("pclose", fd);
	return CALL(-1, pclose, (f));
}

BS_NEXT_DECLARE(closedir);
EXPORT int closedir(DIR *d)
{
	DIR *dir = d;
	int fd;

	/* NULL is an error and no crash, whatever the header promises the compiler. */
	__asm__("" : "+r"(dir));
	fd = dir ? dir_fd(dir) : -1;
	GOES_WITH("closedir", fd);
	return CALL(-1, closedir, (d));
}

/* --- before this library is relocated -----------------------------------------------------------
 */

/* -1 on errors, and where it is not known how to call the kernel. */
static long system_call(long number, long a, long b, long c, long d)
{
#if defined(__x86_64__)
	register long fourth __asm__("r10") = d;
	long ret;

	__asm__ volatile("syscall"
			 : "=a"(ret)
			 : "a"(number), "D"(a), "S"(b), "d"(c), "r"(fourth)
			 : "rcx", "r11", "memory");
	return ret < 0 ? -1 : ret;
#else
	return -1;
#endif
}

int bs_early_openat(int dir, const char *path, int flags, unsigned mode)
{
	return (int)system_call(SYS_openat, dir, (long)path, flags, mode);
}

int bs_early_close(int fd)
{
	return (int)system_call(SYS_close, fd, 0, 0, 0);
}

/* --- close ------------------------------------------------------------------------------------ */

BS_NEXT_DECLARE(close);
EXPORT int close(int fd)
{
	int ret;

	if (unlikely(!BS_NEXT(close)) && bs_next_early())
		return bs_early_close(fd);
	if (given(fd))
		MARK_DROP("close", fd, 0, CALLER());
	ret = CALL(-1, close, (fd));
	if (unlikely(ret) && fd >= 0 && errno == EBADF)
		MARK_DROP("close", fd, 1, CALLER());
	return ret;
}

/* The next open descriptor from n on that was given out, at most last; -1: none. */
static int next_given(unsigned n, unsigned last)
{
	if (last >= BS_GIVEN_MAX)
		last = BS_GIVEN_MAX - 1;
	for (; n <= last; n++) {
		if (!(n % 64) && !__atomic_load_n(&bs_given[n / 64], __ATOMIC_RELAXED))
			n += 63;
		else if (given((int)n) && is_open((int)n))
			return (int)n;
	}
	return -1;
}

/* Those of a range that are open go; where that fails, they have not gone. */
#define DROP_RANGE(fn, first, last)                               \
	do {                                                      \
		for (int fd_ = next_given(first, last); fd_ >= 0; \
		     fd_ = next_given((unsigned)fd_ + 1, last))   \
			MARK_DROP(fn, fd_, 0, CALLER());          \
	} while (0)

BS_NEXT_DECLARE(close_range);
EXPORT int close_range(unsigned first, unsigned last, int flags)
{
	bool drops = !flags && first <= last && attached();
	int ret;

	if (drops)
		DROP_RANGE("close_range", first, last);
	ret = CALL(-1, close_range, (first, last, flags));
	if (unlikely(ret) && drops)
		for (int fd = next_given(first, last); fd >= 0;
		     fd = next_given((unsigned)fd + 1, last))
			MARK_NEW("close_range", fd, CALLER());
	return ret;
}

BS_NEXT_DECLARE(closefrom);
EXPORT void closefrom(int first)
{
	__typeof__(&closefrom) next = BS_NEXT(closefrom);

	if (attached())
		DROP_RANGE("closefrom", first > 0 ? (unsigned)first : 0, UINT32_MAX);
	if (next)
		next(first);
}

/* --- other names, which some libraries use ------------------------------------------------------
 */

ALIAS(close, __close);
ALIAS(dup2, __dup2);
ALIAS(fcntl, __fcntl);
