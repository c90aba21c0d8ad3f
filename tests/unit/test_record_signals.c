/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * test_record_signals.c - the record path of the runtime under signal handlers, which come
 * between any two instructions and may return, jump away or fork.
 */
#define _GNU_SOURCE
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <bscope/bscope.h>

#if defined(__x86_64__)

#include <sys/time.h>
#include <ucontext.h>

#include "record_check.h"

/* --- signal handlers ---------------------------------------------------------------------------
 */

/*
 * Between any two instructions: the processor traps after each, and at the one in question the
 * handler does what a program's signal handler may do.
 */
static volatile long step, step_at;
static void (*step_do)(void);

static void on_step(int sig, siginfo_t *info, void *context)
{
	ucontext_t *uc = context;

	(void)sig;
	(void)info;
	if (++step != step_at)
		return;
	uc->uc_mcontext.gregs[REG_EFL] &= ~0x100;
	step_do();
}

/* True if the handler had its turn. */
__attribute__((noinline, no_sanitize("thread"))) static bool stepped(struct event e, long at,
								     void (*what)(void))
{
	step = 0;
	step_at = at;
	step_do = what;
	__asm__ __volatile__("pushfq\n\torq $0x100,(%%rsp)\n\tpopfq" : : : "memory", "cc");
	record(e);
	__asm__ __volatile__("pushfq\n\tandq $~0x100,(%%rsp)\n\tpopfq" : : : "memory", "cc");
	return step >= at;
}

static void trap_each_step(void (*handler)(int, siginfo_t *, void *))
{
	struct sigaction act = {.sa_flags = SA_SIGINFO | SA_NODEFER};

	act.sa_sigaction = handler;
	must(!sigaction(SIGTRAP, &act, NULL));
}

/* Where an event may be: its kind, and the place in its half where it begins. */
static const struct situation {
	unsigned nargs;
	uint64_t at;
	bool renew, new_buffer;
} situations[] = {
	{1, 5, false, false},	      {1, BATCH - 1, false, false}, {2, 5, false, false},
	{3, 5, false, false},	      {3, BATCH - 2, false, false}, {3, BATCH - 1, false, false},
	{2, BATCH - 1, false, false}, {1, 5, true, false},	    {3, 5, true, false},
	{1, 5, false, true},	      {3, 5, false, true},
};

static void go_into(const struct situation *s)
{
	struct bscope_buffer *b = go_to(s->at);

	if (s->renew)
		b->owner |= BSCOPE_OWNER_RENEW;
	/* As after fork, where it may be the same one that comes next. */
	if (s->new_buffer)
		b->owner = 0;
}

/* What was in the buffers: a thread may write to several while it is interrupted in its search. */
#define BUFFERS 1024u
static uint64_t nexts[BUFFERS], extras[BUFFERS];

static uint64_t next_of(unsigned i)
{
	uint64_t next = pool()->buffers[i].next;

	return next < FIRST ? FIRST : next;
}

static void remember(void)
{
	must(control()->buffers <= BUFFERS);
	for (unsigned i = 0; i < BUFFERS; i++) {
		/* What has never been taken is as it is after fork. */
		nexts[i] = i < pool()->used ? next_of(i) : FIRST;
		extras[i] = i < pool()->used ? pool()->buffers[i].extra : 0;
	}
}

static uint64_t written_since(void)
{
	uint64_t n = 0;

	for (unsigned i = 0; i < pool()->used; i++)
		n += next_of(i) - nexts[i] - (pool()->buffers[i].extra - extras[i]);
	return n;
}

/* The event that is interrupted, and those of the handler, which are known by their number. */
#define MAIN_ID	   4711
#define HANDLER_ID (1ull << 40)
static unsigned handler_events;
static uint64_t handler_done = HANDLER_ID;

static unsigned handler_nargs(uint64_t id)
{
	return 1 + id % 3;
}

static void handler_records(void)
{
	for (unsigned i = 0; i < handler_events; i++, handler_done++)
		record(event_of(handler_done, handler_nargs(handler_done)));
}

struct walk {
	uint64_t main, handler, uncommitted; /* events, events, slots */
};

/* What was written since remember(): in order, none torn, none twice. */
static void walk_buffer(const struct bscope_buffer *b, uint64_t from, uint64_t to,
			unsigned main_nargs, struct walk *w)
{
	uint64_t last = 0;

	if (to - from > SLOTS)
		from = to - SLOTS;
	for (uint64_t n = from; n < to; n++) {
		uint64_t id = slot(b, n)->value, head = slot(b, n)->head;
		unsigned nargs = id == MAIN_ID ? main_nargs : handler_nargs(id);

		if (!is_committed(b, n)) {
			w->uncommitted++;
			continue;
		}
		if (head & BSCOPE_SLOT_EXTRA)
			continue; /* its event is not committed, or was written over */
		if (!(head & BSCOPE_SLOT_INDEX_MASK)) {
			check_empty(b, n);
			continue;
		}
		must(id == MAIN_ID || (id > last && id < handler_done));
		if (id == MAIN_ID)
			w->main++;
		else
			last = id;
		if (nargs > 1 && !is_committed(b, n + 1)) {
			w->main -= id == MAIN_ID;
			continue;
		}
		check_event(b, n, event_of(id, nargs), 0, TIME40);
		w->handler += id != MAIN_ID;
		n += nargs > 1;
	}
}

static struct walk walk(unsigned main_nargs)
{
	struct walk w = {0};

	for (unsigned i = 0; i < pool()->used; i++)
		walk_buffer(&pool()->buffers[i], nexts[i], next_of(i), main_nargs, &w);
	return w;
}

/* What comes after an interruption is right, whatever that was.  Then nothing is left of it. */
static void check_after(unsigned events)
{
	struct bscope_buffer *b = NULL;

	remember();
	for (uint64_t i = 1; i <= events; i++) {
		struct event e = event_of(i, 1 + i % 3);
		uint64_t from, pads, at;

		if (i == 1) {
			record(e);
			for (unsigned k = 0; k < pool()->used; k++)
				if (next_of(k) != nexts[k]) {
					must(!b);
					b = &pool()->buffers[k];
				}
			must(b && b->owner == thread_pointer());
			continue;
		}
		at = place(b->next, e.nargs, &pads);
		from = tsc();
		record(e);
		check_event(b, at, e, from, tsc());
	}
	must(written_since() == events);
	/* A search that was interrupted may have left another one to this thread. */
	for (unsigned k = 0; k < pool()->used; k++)
		if (&pool()->buffers[k] != b && pool()->buffers[k].owner == thread_pointer())
			pool()->buffers[k].owner = 0;
	must(mine() == b);
}

/* The handler returns.  Nothing is lost, whatever it did. */
static void nest(unsigned events)
{
	unsigned turns = 0;

	handler_events = events;
	trap_each_step(on_step);
	for (size_t s = 0; s < ARRAY(situations); s++) {
		const struct situation *sit = &situations[s];
		bool hit = true;

		/* A single, a pair, a pair without room, a buffer just taken. */
		if (events > 3 && s != 0 && s != 3 && s != 5 && s != 10)
			continue;
		for (long at = 1; hit; at++) {
			uint64_t done = handler_done;
			struct walk w;

			go_into(sit);
			remember();
			hit = stepped(event_of(MAIN_ID, sit->nargs), at, handler_records);
			must(written_since() == handler_done - done + 1);
			w = walk(sit->nargs);
			if (handler_done - done <= SLOTS / 2) {
				must(w.main == 1 && w.handler == handler_done - done);
				must(!w.uncommitted);
			} else {
				/*
				 * The handler has lapped the slots of the event that it
				 * interrupted, which now spoils two of later ones, or four: a loss
				 * like any other.
				 */
				must(w.main <= 1 && w.uncommitted <= 4);
				must(w.handler + w.uncommitted >= SLOTS / 2 - 2);
			}
			check_after(hit ? 4 : 1);
			turns += hit;
		}
	}
	signal(SIGTRAP, SIG_DFL);
	assert_true(turns > 100);
}

static void test_nested(void **state)
{
	(void)state;
	nest(3);
}

static void test_nested_fills_half(void **state)
{
	(void)state;
	nest(BATCH * 2 / 3);
}

static void test_nested_laps(void **state)
{
	(void)state;
	nest(SLOTS * 3 / 4);
}

static sigjmp_buf away;

static void handler_jumps(void)
{
	handler_records();
	siglongjmp(away, 1);
}

/*
 * The handler does not come back.  Up to two slots, or four, are never committed; next - extra
 * counts one event, or two where it was interrupted between two counts: lost, and no more.
 */
static void jump_away(unsigned events)
{
	volatile unsigned turns = 0;

	handler_events = events;
	trap_each_step(on_step);
	for (volatile size_t s = 0; s < ARRAY(situations); s++) {
		const struct situation *sit = &situations[s];
		volatile bool hit = true;

		for (volatile long at = 1; hit; at++) {
			uint64_t done = handler_done, written;
			struct walk w;

			go_into(sit);
			remember();
			if (!sigsetjmp(away, 1))
				hit = stepped(event_of(MAIN_ID, sit->nargs), at, handler_jumps);
			written = written_since() - (handler_done - done);
			w = walk(sit->nargs);
			must(w.handler == handler_done - done);
			must(w.main <= written && written <= 2);
			must(w.uncommitted <= 4);
			if (w.uncommitted)
				must(!w.main && (written || sit->at == BATCH - 1));
			if (!hit)
				must(w.main == 1 && written == 1);
			check_after(hit ? 5 : 1);
			/*
			 * Each place gets a slot of this lap: where eight owners in a row never
			 * came back, what the one before them wrote would pass for new (three bits
			 * of lap).
			 */
			for (uint64_t i = 0; i < SLOTS; i++)
				record(event_of(1, 1));
			turns += hit;
		}
	}
	signal(SIGTRAP, SIG_DFL);
	assert_true(turns > 200);
}

static void test_jump_away(void **state)
{
	(void)state;
	jump_away(2);
	check_after(5000);
}

/* The handler forks.  The child begins anew, and the end of the interrupted event hurts nothing. */
static pid_t forked;

static void handler_forks(void)
{
	forked = fork();
}

static void test_fork_inside(void **state)
{
	static const size_t which[] = {5, 10};
	unsigned turns = 0;

	(void)state;
	trap_each_step(on_step);
	for (size_t s = 0; s < ARRAY(which); s++) {
		const struct situation *sit = &situations[which[s]];
		bool hit = true;

		for (long at = 1; hit; at++) {
			go_into(sit);
			remember();
			hit = stepped(event_of(MAIN_ID, sit->nargs), at, handler_forks);
			if (hit && !forked) {
				struct bscope_buffer *b;

				for (uint64_t i = 1; i <= 100; i++)
					record(event_of(i, 1 + i % 3));
				b = mine();
				/* Whether it has that event too is a matter of taste. */
				must(b && b->next - FIRST - b->extra - 100 <= 1);
				check_after(1500);
				_exit(0);
			}
			if (hit)
				reap(forked);
			must(written_since() == 1 && walk(sit->nargs).main == 1);
			check_after(4);
			turns += hit;
		}
	}
	signal(SIGTRAP, SIG_DFL);
	assert_true(turns > 60);
}

#ifndef __SANITIZE_THREAD__ /* which has handlers run later, and all signals blocked */

/* --- timers: signals wherever they fall ------------------------------------------------------- */

static volatile sig_atomic_t alarms, may_jump;
static volatile uint64_t alarm_events;

static void on_alarm(int sig)
{
	/* Now and then more than a half. */
	unsigned n = ++alarms % 64 ? (unsigned)alarms % 40 : BATCH;

	(void)sig;
	for (unsigned i = 0; i < n; i++)
		record(event_of(HANDLER_ID + i, 1 + i % 3));
	alarm_events += n;
	if (may_jump)
		siglongjmp(away, 1);
}

static void alarm_each(long us)
{
	const struct itimerval every = {{0, us}, {0, us}};
	struct sigaction act = {.sa_handler = on_alarm, .sa_flags = SA_RESTART};

	if (us)
		must(!sigaction(SIGALRM, &act, NULL));
	must(!setitimer(ITIMER_REAL, &every, NULL));
	if (!us)
		signal(SIGALRM, SIG_IGN);
}

static void test_alarms(void **state)
{
	uint64_t events = 0;

	(void)state;
	go_to(0);
	remember();
	alarms = 0;
	alarm_events = 0;
	alarm_each(50);
	while (alarms < 500)
		for (unsigned i = 0; i < 1000; i++, events++)
			record(event_of(i, 1 + i % 3));
	alarm_each(0);
	assert_int_equal(written_since(), events + alarm_events);
	check_after(3000);
}

static void test_alarms_jump_away(void **state)
{
	static volatile uint64_t events, jumps;
	uint64_t written;

	(void)state;
	go_to(0);
	remember();
	alarms = 0;
	events = jumps = alarm_events = 0;
	alarm_each(50);
	if (sigsetjmp(away, 1))
		jumps++;
	while (alarms < 500) {
		may_jump = 1;
		for (unsigned i = 0; i < 1000; i++) {
			record(event_of(i, 1 + i % 3));
			events++;
		}
		may_jump = 0;
	}
	may_jump = 0;
	alarm_each(0);
	written = written_since() - alarm_events;
	assert_true(jumps > 0);
	/* An event that was over, but not counted by the test, or one or two that were under way.
	 */
	assert_in_range(written, events, events + 2 * jumps);
	check_after(3000);
}

#endif

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_nested, wipe),
		cmocka_unit_test_setup(test_nested_fills_half, wipe),
		cmocka_unit_test_setup(test_nested_laps, wipe),
		cmocka_unit_test_setup(test_jump_away, wipe),
#ifndef __SANITIZE_THREAD__ /* nor can they fork */
		cmocka_unit_test_setup(test_fork_inside, wipe),
		cmocka_unit_test_setup(test_alarms, wipe),
		cmocka_unit_test_setup(test_alarms_jump_away, wipe),
#endif
	};

	test_pid = getpid();
	return cmocka_run_group_tests(tests, NULL, NULL);
}

#else
#include "no_entries.h"
#endif
