/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * eintr_calls.h - calls that block, and how each is woken: the table `calls` for eintr.c.
 *
 * Those of which a stop makes EINTR unless the tool takes care, and those that the kernel
 * restarts by itself.
 */
#ifndef EINTR_CALLS_H
#define EINTR_CALLS_H

#include "eintr.h"
#include "eintr_events.h"
#include "eintr_files.h"
#include "eintr_signals.h"
#include "eintr_sockets.h"
#include "eintr_sync.h"
#include "eintr_time.h"

#include <sys/msg.h>
#include <sys/sem.h>

static const struct call calls[] = {
	{"epoll_wait", epoll_prepare, wait_epoll_wait, event_wake, false},
	{"epoll_pwait", epoll_prepare, wait_epoll_pwait, event_wake, false},
	{"epoll_pwait2", epoll_prepare, wait_epoll_pwait2, event_wake, false},
	{"poll", event_prepare, wait_poll, event_wake, false},
	{"ppoll", event_prepare, wait_ppoll, event_wake, false},
	{"select", event_prepare, wait_select, event_wake, false},
	{"pselect", event_prepare, wait_pselect, event_wake, false},
	{"read eventfd", blocking_event_prepare, wait_eventfd, event_wake, false},
	{"io_getevents", aio_prepare, wait_io_getevents, event_wake, false},
	{"io_pgetevents", aio_prepare, wait_io_pgetevents, event_wake, false},
	{"io_uring_enter", uring_prepare, wait_io_uring_enter, event_wake, false},
	{"recv", socket_prepare, wait_recv, socket_wake, false},
	{"recvmsg", socket_prepare, wait_recvmsg, socket_wake, false},
	{"recvmmsg", socket_prepare, wait_recvmmsg, socket_wake, false},
	{"read socket", socket_prepare, wait_read_socket, socket_wake, false},
	{"send", full_socket_prepare, wait_send, full_socket_wake, false},
	{"accept", listen_prepare, wait_accept, listen_wake, false},
	{"accept4", listen_prepare, wait_accept4, listen_wake, false},
	{"connect", full_listen_prepare, wait_connect, full_listen_wake, false},
	{"semop", sysv_sem_prepare, wait_semop, sysv_sem_wake, false},
	{"semtimedop", sysv_sem_prepare, wait_semtimedop, sysv_sem_wake, false},
	{"msgrcv", sysv_msg_prepare, wait_msgrcv, sysv_msg_wake, false},
	{"msgsnd", sysv_full_msg_prepare, wait_msgsnd, sysv_full_msg_wake, false},
	{"mq_timedreceive", mq_prepare, wait_mq_timedreceive, mq_wake, false},
	{"sem_timedwait", sem_prepare, wait_sem_timedwait, sem_wake, false},
	{"futex wait", nothing_prepare, wait_futex, futex_wake, false},
	{"futex wait_bitset", nothing_prepare, wait_futex_bitset, futex_wake, false},
	{"futex_waitv", nothing_prepare, wait_futex_waitv, futex_wake, false},
	{"cond_timedwait", cond_prepare, wait_cond_timedwait, cond_wake, true},
	{"nanosleep", nothing_prepare, wait_nanosleep, NULL, false},
	{"clock_nanosleep", nothing_prepare, wait_clock_nanosleep, NULL, false},
	{"clock_nanosleep absolute", nothing_prepare, wait_clock_nanosleep_abs, NULL, false},
	{"read timerfd", timer_prepare, wait_timerfd, timer_wake, false},
	{"pause", nothing_prepare, wait_pause, NULL, false},
	{"sigsuspend", nothing_prepare, wait_sigsuspend, NULL, false},
	{"sigtimedwait", nothing_prepare, wait_sigtimedwait, waited_wake, false},
	{"sigwaitinfo", nothing_prepare, wait_sigwaitinfo, waited_wake, false},
	{"read signalfd", signalfd_prepare, wait_signalfd, signalfd_wake, false},
	{"read pipe", pipe_prepare, wait_pipe, pipe_wake, false},
	{"write pipe", full_pipe_prepare, wait_full_pipe, full_pipe_wake, false},
	{"open fifo", fifo_prepare, wait_open_fifo, fifo_wake, false},
	{"read inotify", inotify_prepare, wait_inotify, inotify_wake, false},
	{"flock", flock_prepare, wait_flock, flock_wake, false},
	{"fcntl lock", fcntl_prepare, wait_fcntl, fcntl_wake, false},
	{"wait4", child_prepare, wait_wait4, child_wake, false},
	{"waitid", child_prepare, wait_waitid, child_wake, false},
};

#define CALLS (sizeof(calls) / sizeof(calls[0]))

/* What outlives the process otherwise. */
static void calls_clean(struct seat *s)
{
	if (s->call->prepare == sysv_sem_prepare)
		semctl(s->a, 0, IPC_RMID);
	if (s->call->prepare == sysv_msg_prepare || s->call->prepare == sysv_full_msg_prepare)
		msgctl(s->b, IPC_RMID, NULL);
	if (s->call->prepare == fifo_prepare || s->call->prepare == inotify_prepare)
		unlink(s->path);
}

#endif
