// SPDX-License-Identifier: GPL-2.0-only
/*
 * stop_eintr.c - the system calls of those who are stopped: to which a stop looks like a signal,
 * which of them may be started again, and how; which may bring signals to others.
 *
 * No EINTR.  Being told to stop looks like a signal to a sleeping system call.  Most are restarted
 * by the kernel; some return -EINTR at once and for good (signal(7), "Interruption of system calls
 * and library functions by stop signals").  Such a thread is given -ERESTARTNOHAND instead and the
 * kernel decides when it runs again: a signal with a handler: -EINTR, as it should be; none: the
 * call is started again.  (Moving rip back by hand would start it again over a signal that has
 * come meanwhile, and lose that wake-up.)  The same for a thread that stopped for a signal: it may
 * be one that is ignored, which would not have woken it if nobody traced.
 */
#include <errno.h>
#include <stddef.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/user.h>

#include "target/stop.h"
#include "target/stop_state.h"

#if defined(__x86_64__)
bool bs_stop_restartable(long nr)
{
	/*
	 * Calls that return -EINTR only when they have done nothing yet, so that starting them
	 * again is what the program would have seen without us, but for a timeout that begins anew.
	 *
	 * Not on the list: close (the descriptor is gone whatever it returns, and its number may be
	 * another's), and everything that the kernel restarts by itself (poll, select, nanosleep,
	 * futex, wait4, pause, ...).
	 */
	switch (nr) {
	/* Wait for events; those come or stay queued. */
	case SYS_epoll_wait:
	case SYS_epoll_pwait:
#ifdef SYS_epoll_pwait2
	case SYS_epoll_pwait2:
#endif
	/* -EINTR if none was there; of io_uring_enter, if none was submitted either. */
	case SYS_io_getevents:
	case SYS_io_pgetevents:
	case SYS_io_uring_enter:
	/* No operation of the set has been done. */
	case SYS_semop:
	case SYS_semtimedop:
	/* No message taken or put. */
	case SYS_msgrcv:
	case SYS_msgsnd:
	/* No signal taken. */
	case SYS_rt_sigtimedwait:
	/* On sockets with SO_RCVTIMEO or SO_SNDTIMEO; with a part moved they return its size. */
	case SYS_recvfrom:
	case SYS_recvmsg:
	case SYS_recvmmsg:
	case SYS_sendto:
	case SYS_sendfile:
	case SYS_splice:
	case SYS_tee:
	case SYS_vmsplice:
	case SYS_sendmsg:
	case SYS_sendmmsg:
	case SYS_read:
	case SYS_readv:
	case SYS_preadv:
	case SYS_preadv2:
	case SYS_pread64:
	case SYS_write:
	case SYS_writev:
	case SYS_pwritev:
	case SYS_pwritev2:
	case SYS_pwrite64:
	/* No connection taken. */
	case SYS_accept:
	case SYS_accept4:
	/*
	 * With SO_SNDTIMEO; the second one waits on for what the first began (tried with TCP and
	 * Unix sockets), but says EALREADY instead of EINPROGRESS when the time is over.
	 */
	case SYS_connect:
		return true;
	}
	return false;
}

#define ERESTARTNOHAND 514 /* include/linux/errno.h of the kernel */
#define USER_CS	       0x33
#define PEEK_USER(tid, reg, value)                                                            \
	(errno = 0,                                                                           \
	 (value) = ptrace(PTRACE_PEEKUSER, (tid), offsetof(struct user_regs_struct, reg), 0), \
	 !errno)

/* Whether it was in such a call. */
bool bs_stop_no_eintr(pid_t tid)
{
	long rax, orig_rax, cs, rip, code;

	if (!PEEK_USER(tid, rax, rax) || rax != -EINTR)
		return false;
	/* orig_rax is -1 unless it is in a system call. */
	if (!PEEK_USER(tid, orig_rax, orig_rax) || !bs_stop_restartable(orig_rax))
		return false;
	/* Numbers of 32-bit calls mean others: not in 32-bit code, nor entered by int $0x80. */
	if (!PEEK_USER(tid, cs, cs) || (cs & 0xffff) != USER_CS || !PEEK_USER(tid, rip, rip))
		return false;
	errno = 0;
	code = ptrace(PTRACE_PEEKTEXT, tid, (void *)(rip - 2), NULL);
	if (errno || (code & 0xffff) != 0x050f)
		return false;
	return !ptrace(PTRACE_POKEUSER, tid, offsetof(struct user_regs_struct, rax),
		       (void *)(long)-ERESTARTNOHAND);
}

bool bs_stop_has_child(pid_t tid)
{
	long orig_rax;

	if (!PEEK_USER(tid, orig_rax, orig_rax))
		return false;
	switch (orig_rax) {
	case SYS_wait4:
	case SYS_waitid:
	case SYS_fork:
	case SYS_vfork:
	case SYS_clone:
#ifdef SYS_clone3
	case SYS_clone3:
#endif
		return true;
	}
	return false;
}
#else
bool bs_stop_restartable(long nr)
{
	(void)nr;
	return false;
}

bool bs_stop_no_eintr(pid_t tid)
{
	(void)tid;
	return false;
}

bool bs_stop_has_child(pid_t tid)
{
	(void)tid;
	return false;
}
#endif
