/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * life.h - fork, exec and exit of the traced processes, and the last events of their threads.
 *
 * A child is put into `traced` while its parent is still inside fork, so its first instruction is
 * already counted.
 */
#ifndef BS_BPF_LIFE_H
#define BS_BPF_LIFE_H

#include "bpf/batch.h"
#include "bpf/follow.h"
#include "bpf/state.h"

#define SIGNAL_GROUP_EXIT 0x4u /* include/linux/sched/signal.h */

/* include/uapi/linux/sched.h */
#define CLONE_VM     0x00000100ull
#define CLONE_VFORK  0x00004000ull
#define CLONE_THREAD 0x00010000ull

#define PF_SIGNALED 0x00000400u /* include/linux/sched.h */

/* 0 if it did not fit.  wakeup: of bpf_ringbuf_submit. */
static __always_inline int send_as(__u32 type, __u32 pid, __u32 tid, __u64 arg, __u64 more,
				   __u64 third, __u64 wakeup)
{
	struct bs_ring_event *event;

	event = bpf_ringbuf_reserve(&ring, sizeof(*event), 0);
	if (!event)
		return 0;
	event->ts_ns = bpf_ktime_get_ns();
	event->pid = pid;
	event->tid = tid;
	event->type = type;
	event->site = 0;
	event->args[0] = arg;
	event->args[1] = more;
	event->args[2] = third;
	bpf_ringbuf_submit(event, wakeup);
	return 1;
}

/* The same, of what is counted as lost lives if not. */
static __always_inline int life_as(__u32 type, __u32 pid, __u32 tid, __u64 arg, __u64 more,
				   __u64 third, __u64 wakeup)
{
	if (send_as(type, pid, tid, arg, more, third, wakeup))
		return 1;
	__sync_fetch_and_add(&counters()->life_lost, 1);
	return 0;
}

/* Rare, and a new process may be gone soon: the reader is woken each time. */
static __always_inline int life(__u32 type, __u32 pid, __u64 arg, __u64 more, __u64 third)
{
	return life_as(type, pid, bpf_get_current_pid_tgid(), arg, more, third,
		       BPF_RB_FORCE_WAKEUP);
}

/* It did not come to the end of what it was at. */
static __always_inline int killed(__u32 pid, __u32 tid)
{
	return life_as(BS_RING_KILLED, pid, tid, 0, 0, 0, BPF_RB_NO_WAKEUP);
}

/* Its table of followed objects, if it has one, goes with its memory. */
static __always_inline void last_table(__u32 pid)
{
	const __u64 *table = bpf_map_lookup_elem(&tables, &pid);
	__u64 full;

	if (!table)
		return;
	if (!bpf_probe_read_user(&full, sizeof(full), (void *)(*table + BS_FOLLOW_FULL)) && full)
		__sync_fetch_and_add(&follow_full, full);
	bpf_map_delete_elem(&tables, &pid);
}

/* (parent, child); raised by the parent before it lets the child run. */
SEC("tp_btf/sched_process_fork")
int on_fork(__u64 *ctx)
{
	struct task_struct *parent = (void *)ctx[0];
	struct task_struct *child = (void *)ctx[1];
	__u32 pid = parent->tgid, child_pid = child->tgid, tid = parent->pid, inherited;
	const __u64 *table, *blocked;
	const __u32 *plan;

	if (child->pid != child->tgid) /* a thread */
		return 0;
	plan = bpf_map_lookup_elem(&traced, &pid);
	if (!plan)
		return 0;
	inherited = *plan;
	if (bpf_map_update_elem(&traced, &child_pid, &inherited, BPF_ANY)) {
		__sync_fetch_and_add(&counters()->traced_full, 1);
		return 0;
	}
	/* In a handler, perhaps: so is the child. */
	blocked = bpf_map_lookup_elem(&handlers, &tid);
	if (blocked && bpf_map_update_elem(&handlers, &child_pid, blocked, BPF_ANY))
		handlers_full = 1;
	/* At the same address, and empty (buffer.h); a vfork child's is its parent's. */
	table = child->mm != parent->mm ? bpf_map_lookup_elem(&tables, &pid) : NULL;
	if (table)
		bpf_map_update_elem(&tables, &child_pid, table, BPF_ANY);
	life(BS_RING_FORK, pid, child_pid, child->mm == parent->mm, inherited);
	return 0;
}

/* (task, clone flags); raised before the other one, and it alone is told the flags. */
SEC("tp_btf/task_newtask")
int on_newtask(__u64 *ctx)
{
	__u32 pid = bpf_get_current_pid_tgid() >> 32, plan;
	__u64 flags = ctx[1];

	if ((flags & CLONE_VM) && !(flags & (CLONE_THREAD | CLONE_VFORK)) && is_traced(pid, &plan))
		__sync_fetch_and_add(&shares, 1);
	return 0;
}

/*
 * Nothing is left of it: with sampling most threads may have recorded nothing.  The half that would
 * be sent has perhaps never been touched, which cannot be read, and looked like a loss.
 */
static __always_inline void send_left(__u64 buffer, __u64 next, __u64 extra)
{
	__u64 id = bpf_get_current_pid_tgid();

	if (!ring_is_full() &&
	    send_as(BS_RING_LEFT, id >> 32, id, buffer, next, extra, wake_flags()))
		return;
	count_lost(BS_BATCH_LAST);
}

/*
 * The thread's buffer is about to go, or to lose its owner: what was not sent is sent now.  Mostly
 * that is some of one half.  But a thread that was killed after it had reserved the first slot of a
 * half, and before it handed over the one before (an event whose slots would have been in both
 * takes that way), has left that as well.
 */
static __always_inline void last_batch(void)
{
	__u32 tid = bpf_get_current_pid_tgid();
	const struct bs_thread_buffer *found = bpf_map_lookup_elem(&buffers, &tid);
	__u64 buffer, sent, half, head[3] = {0};
	struct bs_end_key key = {0};

	if (!found)
		return;
	buffer = found->buffer;
	sent = found->sent;
	bpf_map_delete_elem(&buffers, &tid);
	key.buffer = buffer;
	key.pid = bpf_get_current_pid_tgid() >> 32;
	if (!bpf_probe_read_user(head, sizeof(head), (void *)buffer)) {
		struct bs_end end = {
			.next = head[1], .extra = head[2], .ts_ns = bpf_ktime_get_ns()};

		bpf_map_update_elem(&ends, &key, &end, BPF_ANY);
		if (head[1] == sent) {
			send_left(buffer, head[1], head[2]);
			return;
		}
		half = (head[1] - 1) & ~(__u64)(BSCOPE_BATCH_SLOTS - 1);
		if (head[1] && half > sent)
			send_batch(buffer, half, 0);
	}
	send_batch(buffer, 0, BS_BATCH_LAST);
}

/*
 * (task, binprm); Linux 6.10.  The new program is sure to come and the old memory still there.  The
 * other threads come by on_exit before it goes.
 */
SEC("tp_btf/sched_prepare_exec")
int on_prepare_exec(__u64 *ctx)
{
	__u32 pid = bpf_get_current_pid_tgid() >> 32, number = 1;
	const __u32 *before;

	(void)ctx;
	last_batch();
	last_table(pid);
	if (!bpf_map_lookup_elem(&traced, &pid))
		return 0;
	before = bpf_map_lookup_elem(&execs, &pid);
	if (before)
		number |= *before;
	bpf_map_update_elem(&execs, &pid, &number, BPF_ANY);
	return 0;
}

/*
 * (signal, info, action), in the thread, before it blocks what its handler is not to be interrupted
 * by.  The first one counts: a later one may come in the middle of its handler.
 */
SEC("tp_btf/signal_deliver")
int on_signal(__u64 *ctx)
{
	__u64 id = bpf_get_current_pid_tgid(), blocked;
	const struct task_struct *task = bpf_get_current_task_btf();
	__u32 pid = id >> 32, tid = id;

	(void)ctx;
	if (!bpf_map_lookup_elem(&traced, &pid) || bpf_map_lookup_elem(&handlers, &tid))
		return 0;
	blocked = task->blocked.sig[0];
	if (bpf_map_update_elem(&handlers, &tid, &blocked, BPF_NOEXIST))
		handlers_full = 1;
	return 0;
}

/*
 * Is it in the middle of a signal handler, perhaps?  The signal is blocked there (sigaction(2)), if
 * the program has not said SA_NODEFER; behind it what was blocked before is again.  What a program
 * blocks that has handled no signal says nothing: many do, for signalfd(2) and sigwait(3).
 */
static __always_inline int in_handler(const struct task_struct *task, __u32 tid)
{
	const __u64 *before = bpf_map_lookup_elem(&handlers, &tid);
	__u64 blocked = task->blocked.sig[0];

	if (!before)
		return handlers_full && blocked;
	return blocked && blocked != *before;
}

/* (task, old pid, binary) */
SEC("tp_btf/sched_process_exec")
int on_exec(__u64 *ctx)
{
	struct task_struct *task = (void *)ctx[0];
	__u32 pid = task->tgid, plan = exec_plan, before = 0, number, heard, tid;
	const __u32 *program;
	__u64 name[2] = {0};

	if (bpf_map_update_elem(&traced, &pid, &plan, BPF_EXIST))
		return 0;
	bpf_map_delete_elem(&tables, &pid);
	if (favourite == pid)
		favourite_plan = plan;
	bpf_get_current_comm(name, sizeof(name));
	program = bpf_map_lookup_elem(&execs, &pid);
	if (program)
		before = *program & ~1u;
	number = before + 2;
	/* First, so that whoever looks never takes the new program for the old one. */
	if (bpf_map_update_elem(&execs, &pid, &number, BPF_ANY))
		number = 0;
	/* As a thread that is killed. */
	tid = ctx[1];
	if (in_handler(task, tid))
		killed(pid, tid);
	bpf_map_delete_elem(&handlers, &tid);
	/* If that does not fit, the number tells whoever has read all that was sent before. */
	heard = plan == BS_TRACED_TRAP && interval_open ? BS_EXEC_HEARD : 0;
	life(BS_RING_EXEC, pid, name[0], name[1], number | heard);
	return 0;
}

/*
 * (task).  Every thread comes by here, after it has taken itself off `live`.  Two last threads may
 * both see 0: the one that takes the process out of the map reports it.
 */
SEC("tp_btf/sched_process_exit")
int on_exit(__u64 *ctx)
{
	struct task_struct *task = (void *)ctx[0];
	struct signal_struct *signal = task->signal;
	__u32 pid = task->tgid, tid = task->pid;
	__u32 code;
	int last;

	if (!bpf_map_lookup_elem(&traced, &pid))
		return 0;
	/* On Linux 6.18 the memory is still there; on older kernels this may be too late. */
	last_batch();
	last = !signal->live.counter;
	/*
	 * It did not come to its end: its process ends, or begins a new program, which is told in a
	 * moment.  Who ends the process itself may do so in a handler.
	 */
	if (task->flags & PF_SIGNALED ||
	    (in_handler(task, tid) && (last || signal->flags & SIGNAL_GROUP_EXIT)))
		killed(pid, tid);
	bpf_map_delete_elem(&handlers, &tid);
	if (!last)
		return 0;
	if (bpf_map_delete_elem(&traced, &pid))
		return 0;
	bpf_map_delete_elem(&execs, &pid);
	last_table(pid);
	if (favourite == pid)
		favourite = 0;
	/* As wait(2) finds it: the whole group's, or else that of the first thread. */
	if (signal->flags & SIGNAL_GROUP_EXIT)
		code = signal->group_exit_code;
	else
		code = task->group_leader->exit_code;
	life(BS_RING_EXIT, pid, code, 0, 0);
	return 0;
}
#endif
