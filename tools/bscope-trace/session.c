/* SPDX-License-Identifier: GPL-2.0-only */
/* session.c - wires the stages together and follows processes. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "bscope/abi.h"
#include "bscope/buffer.h"
#include "bscope-trace/command.h"
#include "bscope-trace/options.h"
#include "bscope-trace/session.h"
#include "model/model.h"
#include "order/order.h"
#include "symbol/symbol.h"
#include "target/module.h"
#include "target/process.h"
#include "target/sites.h"

#define NS_PER_MS 1000000ull
#define NS_PER_S  1000000000ull

/*
 * How long after its clock was read an event may still arrive and be put in order.  A thread can be
 * descheduled between reading the clock and reserving its record; what takes longer than this
 * is counted late by the order stage.
 */
#define ORDER_SLACK_NS (50 * NS_PER_MS)
/*
 * What a full ring can bring at once.  Held events take 16 to 48 bytes, half a kilobyte where a
 * thread has but one.
 */
#define ORDER_MAX_HELD (1u << 22)

/*
 * Buffers are looked at this often: an event of a thread that makes few is no older when it is
 * seen.  One that is on its way for longer than this holds nothing up any more.
 */
#define DRAIN_NS (100 * NS_PER_MS)
/* More often where there is much: what is held back until then should fit into the cache. */
#define DRAIN_BUSY_NS	  (50 * NS_PER_MS)
#define DRAIN_BUSY_EVENTS 5000
#define HOLD_MAX_NS	  (500 * NS_PER_MS)
/* After the last site is dark, events on their way are waited for so long. */
#define LAST_NS (200 * NS_PER_MS)

#define POLL_MS	      50
#define TICK_NS	      (250 * NS_PER_MS)
#define MODEL_TICK_NS (50 * NS_PER_MS)
/* New libraries (dlopen) and processes that went without a record are noticed this often. */
#define SCAN_NS (NS_PER_S / 2)
/* Who is lit by traps may turn out to be better lit by jumps. */
#define SCAN_TRAP_NS (50 * NS_PER_MS)
/* After an exec the dynamic linker maps libraries: look more often for a while. */
#define SCAN_EXEC_NS  (5 * NS_PER_MS)
#define SCAN_OFTEN_NS (NS_PER_S / 2)
/* The record of an exit is waited for as many looks as this. */
#define EXIT_SCANS 3
/* At most so many processes per look, so that a thousand followed children cost little. */
#define SCAN_MAX 64

static void log_line(const char *line)
{
	fprintf(stderr, "bscope-trace: %s%s", line, strchr(line, '\n') ? "" : "\n");
}

static void trouble_note(struct bs_session *s, const struct bs_error *err)
{
	if (!s->trouble && err->text[0]) {
		s->trouble = malloc(sizeof(*err));
		if (s->trouble)
			*s->trouble = *err;
	}
	if (s->options->verbose && err->text[0])
		log_line(err->text);
}

static bool module_known(const struct bs_session *s, const struct bs_module *m)
{
	for (size_t i = 0; i < s->nmodules; i++)
		if (s->modules[i]->dev == m->dev && s->modules[i]->ino == m->ino)
			return true;
	return false;
}

/* Takes the module over and numbers its sites. */
static int module_take(struct bs_session *s, struct bs_module *m, struct bs_error *err)
{
	struct bs_module **grown = reallocarray(s->modules, s->nmodules + 1, sizeof(*grown));

	if (!grown) {
		bs_module_free(m);
		return bs_error_set(err, -ENOMEM, "out of memory");
	}
	s->modules = grown;
	s->modules[s->nmodules++] = m;
	return bs_lighting_add(&s->lighting, m, err);
}

/*
 * The model is told of the sites from first on: whose classes say when their objects begin, and
 * up to when marks may be missing.  What is not chosen by the filter is missing for good.
 */
static int classes_tell(struct bs_session *s, uint32_t first, uint64_t gap_ns)
{
	int ret = 0;

	if (s->lighting.foreign || s->lighting.elsewhere)
		gap_ns = UINT64_MAX;
	for (uint32_t i = first; i <= bs_sites_count(s->sites) && !ret; i++) {
		const struct bs_expansion *e = bs_sites_get(s->sites, i);

		ret = bs_model_class(s->model, e->klass_id,
				     e->kind == BSCOPE_KIND_NEW ||
					     e->kind == BSCOPE_KIND_RESIZE_END,
				     e->chosen ? gap_ns : UINT64_MAX);
	}
	return ret;
}

/* Lights whatever a process has mapped that is not lit yet.  Errors are notes: the rest goes on. */
static void process_scan(struct bs_session *s, struct bs_process *p)
{
	uint32_t first = bs_sites_count(s->sites) + 1;
	struct bs_module **added = NULL;
	uint64_t stops = s->lighting.stops;
	bool lit = p->how == BS_LIT_JUMP;
	struct bs_error err = {0};
	size_t n = 0;
	int ret = bs_process_modules(p->pid, s->modules, s->nmodules, &added, &n, &err);

	/* What cannot be read of a process that is just ending is no trouble. */
	if (err.text[0] && ret != -ESRCH && bs_process_alive(p->pid))
		trouble_note(s, &err);
	if (ret)
		return;
	for (size_t i = 0; i < n; i++) {
		const char *path = added[i]->path;
		bool sites = added[i]->nsites;
		size_t known = s->nmodules;

		memset(&err, 0, sizeof(err));
		if (module_take(s, added[i], &err))
			trouble_note(s, &err);
		if (!sites || s->nmodules == known || s->nlate++)
			continue;
		s->late_path = path;
		s->late_ns = bs_clock_ns(CLOCK_MONOTONIC);
	}
	free(added);
	memset(&err, 0, sizeof(err));
	ret = bs_lighting_process(&s->lighting, p, false, &err);
	/* What it had loaded meanwhile may have been at work before it was lit. */
	if (lit && s->lighting.stops != stops)
		first = 1;
	if (ret && ret != -ESRCH && bs_process_alive(p->pid)) {
		trouble_note(s, &err);
		classes_tell(s, 1, UINT64_MAX);
	} else {
		classes_tell(s, first, bs_now_ns());
	}
}

/*
 * The interpreter that the kernel will run for a script: #!, blanks, its path (binfmt_script.c).
 * False if path is no script.
 */
static bool script_interpreter(const char *path, char *interpreter, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	char line[256];
	ssize_t n;
	char *s;

	if (fd < 0)
		return false;
	n = read(fd, line, sizeof(line) - 1);
	close(fd);
	if (n < 3 || line[0] != '#' || line[1] != '!')
		return false;
	line[n] = '\0';
	s = line + 2;
	s += strspn(s, " \t");
	s[strcspn(s, " \t\n")] = '\0';
	return *s && (size_t)snprintf(interpreter, size, "%s", s) < size;
}

/* The file of a COMMAND, or the preload library, before anything runs it. */
static int file_take(struct bs_session *s, const char *path, bool must, struct bs_error *err)
{
	struct bs_module *m = NULL;
	struct bs_error why = {0};
	int fd = open(path, O_RDONLY | O_CLOEXEC), ret;

	if (fd < 0)
		return must ? bs_error_set(err, -errno, "%s: %s", path, strerror(errno)) : 0;
	ret = bs_module_read(fd, path, &m, &why);
	if (ret) {
		close(fd);
		if (!must)
			return 0; /* a script, say: what it runs is looked at when it runs */
		*err = why;
		return ret;
	}
	if (!m->nsites || module_known(s, m)) {
		bs_module_free(m);
		return must && !s->nmodules
			       ? bs_error_set(err, -ENOENT,
					      "%s: no sites in it: is it our library?", path)
			       : 0;
	}
	return module_take(s, m, err);
}

/* The COMMAND's file, or if it is a script the program that interprets it. */
static int command_take(struct bs_session *s, const char *path, struct bs_error *err)
{
	char file[PATH_MAX];

	snprintf(file, sizeof(file), "%s", path);
	/* An interpreter may be a script too; the kernel goes four deep. */
	for (int depth = 0; depth < 5; depth++)
		if (!script_interpreter(file, file, sizeof(file)))
			break;
	return file_take(s, file, false, err);
}

static int processes_read(struct bs_session *s, struct bs_error *err)
{
	const struct bs_options *o = s->options;

	for (size_t i = 0; i < o->npids; i++) {
		int ret = bs_process_check(o->pids[i], err);

		if (ret)
			return ret;
	}
	return 0;
}

/* Has pid mapped a module that another process brought in? */
static bool process_maps_known(const struct bs_session *s, pid_t pid, size_t known)
{
	for (size_t i = 0; i < known; i++)
		if (bs_module_mapped(s->modules[i], pid))
			return true;
	return false;
}

/* Reads all modules of the given processes; unlike process_scan, errors end it. */
static int processes_take(struct bs_session *s, struct bs_error *err)
{
	const struct bs_options *o = s->options;

	for (size_t i = 0; i < o->npids; i++) {
		struct bs_module **added = NULL;
		size_t n = 0, known = s->nmodules;
		char comm[32], exe[256], name[256];
		int ret;

		ret = bs_process_modules(o->pids[i], s->modules, s->nmodules, &added, &n, err);
		if (ret)
			return ret;
		if (err->text[0])
			trouble_note(s, err);
		if (!n && !process_maps_known(s, o->pids[i], known)) {
			if (err->text[0])
				return err->code = -ENOENT;
			bs_process_name(o->pids[i], comm, sizeof(comm), exe, sizeof(exe));
			bs_text_clean(name, sizeof(name), exe);
			return bs_error_set(
				err, -ENOENT,
				"pid %d: no sites in %s or its libraries (built with "
				"BSCOPE_DISABLE? for a program without sites start it under "
				"--preload)",
				(int)o->pids[i], name);
		}
		memset(err, 0, sizeof(*err));
		for (size_t k = 0; k < n; k++) {
			if (ret)
				bs_module_free(added[k]); /* after the first error */
			else
				ret = module_take(s, added[k], err);
		}
		free(added);
		if (ret)
			return ret;
	}
	return 0;
}

/* Errors end it here, too: nothing is half attached. */
static int processes_light(struct bs_session *s, struct bs_error *err)
{
	/* A COMMAND does not run yet: its files are lit, and it is lit by jumps when it does. */
	if (s->command)
		return s->options->mode == BS_MODE_JUMP ? 0 : bs_lighting_traps(&s->lighting, err);
	for (size_t i = 0; i < s->followed.n; i++) {
		int ret = bs_lighting_process(&s->lighting, s->followed.v[i], true, err);

		if (ret)
			return ret;
	}
	return 0;
}

static bool any_chosen(const struct bs_session *s)
{
	for (uint32_t i = 1; i <= bs_sites_count(s->sites); i++)
		if (bs_sites_get(s->sites, i)->chosen)
			return true;
	return false;
}

static void bystanders_count(struct bs_session *s)
{
	pid_t *pids = calloc(s->followed.n + 1, sizeof(*pids));

	if (!pids)
		return;
	for (size_t i = 0; i < s->followed.n; i++)
		pids[i] = s->followed.v[i]->pid;
	pids[s->followed.n] = getpid();
	for (size_t i = 0; i < s->nmodules; i++) {
		size_t n = bs_module_bystanders(s->modules[i], pids, s->followed.n + 1);

		if (n > s->bystanders)
			s->bystanders = n;
	}
	free(pids);
}

static int trace_all(struct bs_session *s, struct bs_error *err)
{
	const struct bs_options *o = s->options;
	size_t n = s->command ? 1 : o->npids;

	for (size_t i = 0; i < n; i++) {
		pid_t pid = s->command ? s->command->pid : o->pids[i];
		struct bs_process *p;
		int ret = bs_collect_trace(s->collect, pid, err);

		if (ret)
			return ret;
		p = bs_followed_add(&s->followed, pid, NULL);
		if (!p)
			return bs_error_set(err, -ENOMEM, "out of memory");
	}
	return 0;
}

static void exec_names(struct bs_process *p, const struct bs_event *ev)
{
	char comm[16];

	memcpy(comm, &ev->id, 8);
	memcpy(comm + 8, &ev->arg, 8);
	bs_followed_exec(p, comm);
}

static void life_event(struct bs_session *s, const struct bs_event *ev)
{
	struct bs_process *p = bs_followed_find(&s->followed, (pid_t)ev->pid), *child;

	switch (ev->type) {
	case BS_EVENT_FORK:
		child = bs_followed_add(&s->followed, (pid_t)ev->arg, p);
		if (p && child)
			bs_lighting_fork(&s->lighting, p, child, ev->id, ev->code);
		bs_code_fork(s->code, ev->pid, (uint32_t)ev->arg);
		break;
	case BS_EVENT_EXEC:
		/* What it had said before still has its callers there. */
		if (p) {
			exec_names(p, ev);
			bs_lighting_exec(&s->lighting, p);
		}
		bs_code_invalidate(s->code, ev->pid);
		/* Its dynamic linker is at work. */
		s->next_scan_ns = 0;
		s->scan_often_ns = ev->ts_ns + SCAN_OFTEN_NS;
		break;
	case BS_EVENT_EXIT:
		if (p) {
			bs_lighting_exit(&s->lighting, p);
			bs_followed_exit(&s->followed, p);
		}
		break;
	}
}

/* What was put in order goes to the model, many events at once. */
static int ordered_flush(struct bs_session *s)
{
	size_t n = s->nordered;

	s->nordered = 0;
	return bs_model_events(s->model, s->ordered, n);
}

static int ordered_reserve(struct bs_session *s, size_t n)
{
	return s->nordered + n > BS_ORDERED ? ordered_flush(s) : 0;
}

static int events_release(void *ctx, const struct bs_event *v, size_t n)
{
	struct bs_session *s = ctx;
	int ret = ordered_reserve(s, n);

	memcpy(&s->ordered[s->nordered], v, n * sizeof(*v));
	s->nordered += n;
	return ret;
}

static int slots_release(void *ctx, const struct bs_slots *slots)
{
	struct bs_session *s = ctx;
	int ret = ordered_reserve(s, slots->n);

	s->nordered += bs_decode_slots(&s->decoder, slots, &s->ordered[s->nordered]);
	return ret;
}

static int release(struct bs_session *s, uint64_t watermark)
{
	const struct bs_order_ops ops = {events_release, slots_release, s};
	int ret;

	bs_priority_low(s->priority);
	ret = bs_order_release(s->order, watermark, &ops);
	if (!ret)
		ret = ordered_flush(s);
	if (!ret && watermark != UINT64_MAX && watermark > s->watermark_ns)
		s->watermark_ns = watermark;
	return ret < 0 ? ret : 0;
}

/* So many events were put in line.  One poll can bring more than is to be held: the oldest go on.
 */
static int pushed(struct bs_session *s, size_t marks)
{
	s->marks += marks;
	if (!bs_order_full(s->order))
		return 0;
	/* Beyond the watermark something may be missing still. */
	bs_model_loss(s->model, bs_now_ns(), 0);
	return release(s, s->watermark_ns);
}

/* One raw record: decoded and put in line.  What cannot be decoded is counted by the decoder. */
static int record_take(void *ctx, const void *data, size_t size)
{
	const struct bs_ring_event *rec = data;
	struct bs_session *s = ctx;
	struct bs_event ev;
	int ret;

	if (size >= sizeof(*rec) && rec->type >= BS_RING_BATCH) {
		bs_priority_low(s->priority);
		s->reference_tsc = bs_tsc_now();
		return bs_buffers_record(s->buffers, data, size);
	}
	if (bs_decode(&s->decoder, data, size, &ev))
		return 0;
	if (ev.type != BS_EVENT_MARK) {
		bs_priority_normal(s->priority);
		life_event(s, &ev);
	}
	ret = bs_order_push(s->order, &ev);
	return ret ? ret : pushed(s, ev.type == BS_EVENT_MARK);
}

/* The process is looked at with normal priority: the reader of its maps can hold it up. */
static uint32_t code_intern(void *ctx, uint32_t pid, uint64_t addr)
{
	struct bs_session *s = ctx;
	uint32_t number = bs_code_known(s->code, pid, addr);
	bool low;

	if (number)
		return number;
	low = bs_priority_normal(s->priority);
	number = bs_code_intern(s->code, pid, addr);
	if (low)
		bs_priority_low(s->priority);
	return number;
}

/*
 * Slots of a thread's buffer, from the ring or from its memory.  What only their process knows is
 * asked for now; the rest of their meaning can wait.
 */
static int slots_take(void *ctx, uint32_t pid, uint32_t tid, const struct bscope_slot *slots,
		      size_t n)
{
	struct bscope_slot room[512];
	struct bs_session *s = ctx;
	struct bs_slots prepared;
	int ret = 0;

	for (size_t i = 0, k; i < n && !ret; i += k) {
		size_t events;

		k = n - i;
		if (k > sizeof(room) / sizeof(room[0])) {
			k = sizeof(room) / sizeof(room[0]);
			/* What belongs to one event stays together. */
			k -= slots[i + k].head & BSCOPE_SLOT_EXTRA ? 1 : 0;
		}
		events = bs_decode_prepare(&s->decoder, pid, tid, &slots[i], k, &s->tsc,
					   s->reference_tsc, room, &prepared);
		ret = bs_order_push_slots(s->order, &prepared, events);
		if (!ret)
			ret = pushed(s, events);
	}
	return ret;
}

static uint32_t buffer_owner(void *ctx, uint32_t pid, uint64_t buffer)
{
	struct bs_session *s = ctx;

	return bs_collect_owner(s->collect, pid, buffer);
}

static bool lossy(void *ctx)
{
	struct bs_session *s = ctx;
	struct bs_collect_counts c;

	return bs_collect_counts(s->collect, &c) || c.sum.batch_lost;
}

static bool buffer_end(void *ctx, uint32_t pid, uint64_t buffer, struct bs_end *end)
{
	struct bs_session *s = ctx;

	return bs_collect_end(s->collect, pid, buffer, end);
}

/*
 * Looks at all buffers: copies what is in memory, takes what the ring has, which is older, and
 * then the copies.  Everything up to the moment before has been seen then, but for events whose
 * threads were interrupted on the way: they hold the watermark back, not for ever.
 */
static int drain(struct bs_session *s, bool last, size_t *waiting)
{
	uint64_t before, hold, start_ns, consumed;
	int ret;

	bs_tsc_sync(&s->tsc);
	bs_code_tick(s->code, bs_now_ns());
	ret = bs_buffers_read(s->buffers, last, &hold);
	if (ret)
		return ret;
	start_ns = bs_tsc_ns(&s->tsc, hold);
	if (s->last_look_ns && start_ns - s->last_look_ns > s->stalled_ns)
		s->stalled_ns = start_ns - s->last_look_ns;
	s->last_look_ns = start_ns;
	consumed = bs_collect_consumed(s->collect);
	do
		ret = bs_collect_poll(s->collect, 0, record_take, s, &before);
	while (ret == -EINTR || (ret >= 0 && !bs_collect_turned(s->collect, consumed)));
	if (ret >= 0) {
		bs_priority_low(s->priority);
		s->reference_tsc = bs_tsc_now();
		ret = bs_buffers_take(s->buffers, last, s->reference_tsc, &hold, waiting);
	}
	bs_priority_normal(s->priority);
	if (ret < 0)
		return ret;
	bs_buffers_settle(s->buffers);
	s->drained_ns = bs_tsc_ns(&s->tsc, hold);
	if (s->drained_ns + HOLD_MAX_NS < start_ns)
		s->drained_ns = start_ns - HOLD_MAX_NS;
	return 0;
}

/* While sites are being darkened the program goes on, and so does the ring. */
static int drain_meanwhile(void *ctx)
{
	struct bs_session *s = ctx;
	size_t waiting;

	return drain(s, false, &waiting);
}

int bs_session_new(const struct bs_options *o, struct bs_command *command, const char *preload,
		   struct bs_session **out, struct bs_error *err)
{
	struct bs_collect_opts co = {.ring_bytes = o->buffer_bytes,
				     .log = o->verbose ? log_line : NULL};
	struct bs_session *s = calloc(1, sizeof(*s));
	const struct bs_buffers_ops bo = {slots_take, buffer_owner, buffer_end, lossy, s};
	struct bs_model_opts mo = {0};
	int ret = -ENOMEM;

	if (!s)
		return bs_error_set(err, -ENOMEM, "out of memory");
	s->options = o;
	s->command = command;
	s->sites = bs_sites_new();
	s->buffers = bs_buffers_new(&bo);
	s->order = bs_order_new(ORDER_MAX_HELD);
	s->code = bs_code_new(bs_now_ns());
	bs_tsc_sync(&s->tsc);
	if (!s->sites || !s->buffers || !s->order || !s->code) {
		bs_error_set(err, ret, "out of memory");
		goto fail;
	}
	s->decoder = (struct bs_decoder){.sites = s->sites, .code = code_intern, .code_ctx = s};
	ret = processes_read(s, err);
	if (ret)
		goto fail;
	ret = bs_collect_new(&co, &s->collect, err);
	if (ret)
		goto fail;
	/* First the set of processes, then the sites: from the first hit on every count is exact.
	 */
	ret = trace_all(s, err);
	if (ret)
		goto fail;
	ret = bs_lighting_init(&s->lighting, o, s->sites, s->collect, s->buffers, err);
	if (ret)
		goto fail;
	if (preload)
		ret = file_take(s, preload, true, err);
	if (!ret && command)
		ret = command_take(s, command->path, err);
	if (!ret)
		ret = processes_take(s, err);
	if (!ret && s->nmodules && !any_chosen(s))
		ret = bs_error_set(err, -ENOENT, "-f: no site matches: see the sites with --list");
	if (!ret)
		ret = processes_light(s, err);
	if (ret)
		goto fail;
	if (s->lighting.trapped)
		bystanders_count(s);
	s->start_real_ns = bs_clock_ns(CLOCK_REALTIME);
	s->start_ns = bs_collect_start(s->collect);
	/* Jumps count from the moment they are written. */
	for (size_t i = 0; i < s->followed.n; i++) {
		uint64_t lit_ns = s->followed.v[i]->lit_ns;

		if (!lit_ns || lit_ns >= s->start_ns)
			continue;
		s->start_real_ns -= s->start_ns - lit_ns;
		s->start_ns = lit_ns;
	}
	s->watermark_ns = mo.start_ns = s->start_ns;
	s->tool_cpu_ns = bs_clock_ns(CLOCK_PROCESS_CPUTIME_ID);
	s->model = bs_model_new(&mo);
	if (!s->model) {
		ret = bs_error_set(err, -ENOMEM, "out of memory");
		goto fail;
	}
	ret = classes_tell(s, 1, 0);
	if (ret) {
		bs_error_set(err, ret, "out of memory");
		goto fail;
	}
	s->priority = bs_priority_new(bs_collect_ring_fd(s->collect));
	*out = s;
	return 0;
fail:
	bs_session_free(s);
	return ret;
}

static const struct bs_process *followed_by_plan(const struct bs_session *s,
						 const struct bs_process *but, uint32_t plan)
{
	for (size_t i = 0; i < s->followed.n; i++)
		if (s->followed.v[i] != but && s->followed.v[i]->plan == plan)
			return s->followed.v[i];
	return NULL;
}

/*
 * Children whose fork record did not fit into the ring: the kernel's programs trace them all the
 * same, so they are asked for.
 */
static int find_lost_children(struct bs_session *s)
{
	struct bs_traced *pids = calloc(BS_TRACED_MAX, sizeof(*pids));
	size_t n;
	int ret = 0;

	if (!pids)
		return -ENOMEM;
	n = bs_collect_traced(s->collect, pids, BS_TRACED_MAX);
	for (size_t i = 0; i < n && !ret; i++) {
		const struct bs_process *p = bs_followed_find(&s->followed, pids[i].pid), *parent;
		struct bs_process *child;

		if (p && p->alive)
			continue;
		child = bs_followed_add(&s->followed, pids[i].pid, NULL);
		if (!child)
			ret = -ENOMEM;
		/* Whoever has the same plan has the same memory. */
		parent = child && pids[i].plan ? followed_by_plan(s, child, pids[i].plan) : NULL;
		if (parent)
			bs_lighting_fork(&s->lighting, parent, child, false, pids[i].plan);
	}
	free(pids);
	return ret;
}

static int loss_check(struct bs_session *s, uint64_t now)
{
	struct bs_collect_counts c;
	uint64_t lost;
	int ret = bs_collect_counts(s->collect, &c);

	if (ret)
		return ret;
	if (c.sum.life_lost > s->life_lost) {
		s->life_lost = c.sum.life_lost;
		ret = find_lost_children(s);
		if (ret)
			return ret;
	}
	bs_buffers_counts(s->buffers, &s->jumps);
	lost = c.sum.lost_ring + c.sum.lost_spec + c.missed + s->jumps.skipped +
	       s->jumps.abandoned + s->jumps.no_buffer;
	if (lost > s->lost) {
		bs_model_loss(s->model, now, lost - s->lost);
		s->lost = lost;
	}
	return 0;
}

/* Looks for libraries that were loaded since and for processes whose exit was not seen. */
static void scan(struct bs_session *s, uint64_t now)
{
	size_t looked = 0;

	s->lighting.events = s->marks;
	for (size_t i = 0; i < s->followed.n && looked < SCAN_MAX; i++) {
		struct bs_process *p;

		s->scan_at = s->scan_at + 1 < s->followed.n ? s->scan_at + 1 : 0;
		p = s->followed.v[s->scan_at];
		if (!p->alive)
			continue;
		looked++;
		/*
		 * The kernel's programs know whom they trace.  The record of an exit may be on its
		 * way still, behind the last events of the process: only one that does not come is
		 * done without.
		 */
		if (!bs_collect_traces(s->collect, p->pid)) {
			if (p->missed++ < EXIT_SCANS)
				continue;
			bs_lighting_exit(&s->lighting, p);
			bs_followed_exit(&s->followed, p);
			continue;
		}
		p->missed = 0;
		bs_followed_refresh(p);
		process_scan(s, p);
	}
	s->next_scan_ns = now + (now < s->scan_often_ns			    ? SCAN_EXEC_NS
				 : s->lighting.trapped && s->lighting.guard ? SCAN_TRAP_NS
									    : SCAN_NS);
}

int bs_session_run(struct bs_session *s, const volatile sig_atomic_t *stop,
		   void (*tick)(void *ctx, const struct bs_session *s), void *ctx,
		   struct bs_error *err)
{
	uint64_t deadline = UINT64_MAX, next_tick = 0, next_model = 0, drained = 0, now, before;
	struct bs_error trouble;
	size_t waiting;
	int ret = 0;

	if (s->command) {
		ret = bs_command_release(s->command, s->command->path, err);
		if (ret)
			return ret;
	}
	if (s->options->duration_ns)
		deadline = s->start_ns + s->options->duration_ns;
	s->next_scan_ns = s->start_ns + SCAN_EXEC_NS;
	while (!*stop && s->followed.nalive) {
		int timeout = POLL_MS;

		now = bs_clock_ns(CLOCK_MONOTONIC);
		if (now >= deadline)
			break;
		if ((deadline - now) / NS_PER_MS < (uint64_t)timeout)
			timeout = (int)((deadline - now) / NS_PER_MS) + 1;
		if (s->next_scan_ns > now &&
		    (s->next_scan_ns - now) / NS_PER_MS < (uint64_t)timeout)
			timeout = (int)((s->next_scan_ns - now) / NS_PER_MS) + 1;
		if (s->next_drain_ns > now &&
		    (s->next_drain_ns - now) / NS_PER_MS < (uint64_t)timeout)
			timeout = (int)((s->next_drain_ns - now) / NS_PER_MS) + 1;
		ret = bs_collect_poll(s->collect, timeout, record_take, s, &before);
		bs_priority_normal(s->priority);
		if (ret < 0 && ret != -EINTR)
			break;
		now = bs_clock_ns(CLOCK_MONOTONIC);
		bs_code_tick(s->code, now);
		if (now >= s->next_drain_ns || bs_order_held(s->order) > ORDER_MAX_HELD / 2) {
			ret = drain(s, false, &waiting);
			if (ret)
				break;
			s->next_drain_ns =
				now +
				(s->marks - drained > DRAIN_BUSY_EVENTS ? DRAIN_BUSY_NS : DRAIN_NS);
			drained = s->marks;
		}
		ret = 0;
		before = before - ORDER_SLACK_NS < s->drained_ns ? before - ORDER_SLACK_NS
								 : s->drained_ns;
		/* What was lost up to there must be known before anything is concluded. */
		ret = loss_check(s, now);
		if (!ret && before > s->start_ns)
			ret = release(s, before);
		bs_priority_normal(s->priority);
		if (ret)
			break;
		now = bs_clock_ns(CLOCK_MONOTONIC);
		if (now >= next_model || !s->followed.nalive) {
			ret = bs_model_tick(s->model, s->watermark_ns);
			if (ret)
				break;
			next_model = now + MODEL_TICK_NS;
		}
		if (now >= s->next_scan_ns)
			scan(s, now);
		memset(&trouble, 0, sizeof(trouble));
		if (bs_lighting_check(&s->lighting, &trouble))
			trouble_note(s, &trouble);
		if (s->command)
			bs_command_poll(s->command);
		if (tick && now >= next_tick) {
			tick(ctx, s);
			next_tick = now + TICK_NS;
		}
	}
	return ret < 0 ? bs_error_set(err, ret, "cannot read events: %s", strerror(-ret)) : 0;
}

/* What threads had not sent when the last site went dark, and the events that were on their way. */
static int drain_last(struct bs_session *s)
{
	uint64_t until = bs_clock_ns(CLOCK_MONOTONIC) + LAST_NS;
	size_t waiting;
	int ret;

	for (;;) {
		ret = drain(s, false, &waiting);
		if (ret || !waiting || bs_clock_ns(CLOCK_MONOTONIC) >= until)
			break;
		usleep(1000);
	}
	return ret ? ret : drain(s, true, &waiting);
}

int bs_session_end(struct bs_session *s, struct bs_error *err)
{
	struct bs_error dark = {0};
	uint64_t before;
	int ret;

	/* From here on somebody waits for us. */
	bs_priority_free(s->priority);
	s->priority = NULL;
	for (size_t i = 0; i < s->followed.n; i++)
		if (s->followed.v[i]->alive)
			bs_followed_refresh(s->followed.v[i]);
	/* First the switches, then whoever listens to what they say. */
	if (bs_lighting_dark(&s->lighting, drain_meanwhile, s, &dark))
		trouble_note(s, &dark);
	s->end_ns = bs_collect_dark(s->collect);
	if (s->lighting.dark_ns && s->lighting.jumped)
		s->end_ns = s->lighting.dark_ns;
	do
		ret = bs_collect_poll(s->collect, 0, record_take, s, &before);
	while (ret > 0 || ret == -EINTR);
	if (!ret)
		ret = drain_last(s);
	if (!ret)
		ret = bs_collect_counts(s->collect, &s->counts);
	if (!ret)
		ret = loss_check(s, s->end_ns);
	if (!ret)
		ret = release(s, UINT64_MAX);
	if (!ret)
		ret = bs_model_tick(s->model, s->end_ns);
	if (!ret)
		ret = bs_model_end(s->model);
	s->tool_cpu_ns = bs_clock_ns(CLOCK_PROCESS_CPUTIME_ID) - s->tool_cpu_ns;
	if (s->command)
		bs_command_poll(s->command);
	return ret ? bs_error_set(err, ret, "cannot finish the trace: %s", strerror(-ret)) : 0;
}

void bs_session_free(struct bs_session *s)
{
	if (!s)
		return;
	bs_priority_free(s->priority);
	/* Switches before probes, here too. */
	bs_lighting_fini(&s->lighting);
	bs_collect_free(s->collect);
	bs_buffers_free(s->buffers);
	bs_model_free(s->model);
	bs_order_free(s->order);
	bs_decoder_fini(&s->decoder);
	bs_code_free(s->code);
	bs_sites_free(s->sites);
	for (size_t i = 0; i < s->nmodules; i++)
		bs_module_free(s->modules[i]);
	free(s->modules);
	bs_followed_fini(&s->followed);
	free(s->trouble);
	free(s);
}
