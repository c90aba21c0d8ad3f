/* SPDX-License-Identifier: GPL-2.0-only */
/* session_targets.c - which files and processes are traced, and what becomes of them. */
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
#include "bscope-trace/command.h"
#include "bscope-trace/libraries.h"
#include "bscope-trace/options.h"
#include "bscope-trace/session_state.h"
#include "model/model.h"
#include "order/order.h"
#include "symbol/symbol.h"
#include "target/module.h"
#include "target/proc.h"
#include "target/process.h"
#include "target/sharers.h"
#include "target/sites.h"
#include "unwind/unwind.h"

/* New libraries (dlopen) and processes that went without a record are noticed this often. */
#define SCAN_NS (NS_PER_S / 2)
/* Who is lit by traps may turn out to be better lit by jumps. */
#define SCAN_TRAP_NS  (50 * NS_PER_MS)
#define SCAN_OFTEN_NS (NS_PER_S / 2)
/* The record of an exit is waited for as many looks as this. */
#define EXIT_SCANS 3
/*
 * At most so many processes that run per look, so that a thousand followed children cost little.
 * Those that do not cost nearly nothing, and must not keep the others waiting.
 */
#define SCAN_MAX 64

void bs_session_log(const char *line)
{
	fprintf(stderr, "bscope-trace: %s%s", line, strchr(line, '\n') ? "" : "\n");
}

void bs_session_trouble(struct bs_session *s, const struct bs_error *err)
{
	if (!s->trouble && err->text[0]) {
		s->trouble = malloc(sizeof(*err));
		if (s->trouble)
			*s->trouble = *err;
	}
	if (s->options->verbose && err->text[0])
		bs_session_log(err->text);
}

static bool module_known(const struct bs_session *s, const struct bs_module *m)
{
	for (size_t i = 0; i < s->nmodules; i++)
		if (s->modules[i]->dev == m->dev && s->modules[i]->ino == m->ino)
			return true;
	return false;
}

int bs_session_module(struct bs_session *s, struct bs_module *m, struct bs_error *err)
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

int bs_session_late(struct bs_session *s, struct bs_module *m, struct bs_error *err)
{
	const char *path = m->path;
	bool sites = m->nsites;
	int ret = bs_session_module(s, m, err);

	if (ret || !sites || s->nlate++)
		return ret;
	s->late_path = path;
	s->late_ns = bs_clock_ns(CLOCK_MONOTONIC);
	return 0;
}

/*
 * Traps have the kernel's clock, jumps that of the processor: of a class that has sites of either
 * kind the order of marks is not certain, even in one thread (with coarse stamps it is not known).
 */
static int clocks_tell(struct bs_session *s)
{
	uint32_t n = bs_sites_count(s->sites), most = 0;
	uint8_t *ways;
	int ret = 0;

	if (!s->lighting.jumped || s->clocks_told == n)
		return 0;
	for (uint32_t i = 1; i <= n; i++)
		if (bs_sites_get(s->sites, i)->klass_id > most)
			most = bs_sites_get(s->sites, i)->klass_id;
	ways = calloc(most + 1, 1);
	if (!ways)
		return -ENOMEM;
	for (uint32_t i = 1; i <= n; i++) {
		const struct bs_expansion *e = bs_sites_get(s->sites, i);

		if (e->chosen)
			ways[e->klass_id] |= bs_lighting_trap_only(&s->lighting, i) ? 1 : 2;
	}
	s->nclocks = 0;
	for (uint32_t k = 1; k <= most && !ret; k++) {
		if (ways[k] != 3)
			continue;
		s->nclocks++;
		ret = bs_model_class(s->model, k, false, UINT64_MAX);
	}
	s->clocks_told = n;
	free(ways);
	return ret;
}

int bs_session_classes(struct bs_session *s, uint32_t first, uint64_t gap_ns)
{
	bool late = gap_ns;
	int ret = 0;

	/* What is loaded, and not lit yet, may say anything at any time. */
	if (s->lighting.foreign || s->lighting.elsewhere || s->no_loads)
		gap_ns = UINT64_MAX;
	for (uint32_t i = first; i <= bs_sites_count(s->sites) && !ret; i++) {
		const struct bs_expansion *e = bs_sites_get(s->sites, i);

		ret = bs_model_class(s->model, e->klass_id,
				     e->kind == BSCOPE_KIND_NEW ||
					     e->kind == BSCOPE_KIND_RESIZE_END,
				     e->chosen ? gap_ns : UINT64_MAX);
		s->strange_births |= e->kind == BSCOPE_KIND_NEW && e->nargs >= BSCOPE_MAX_ARGS &&
				     !(e->flags & BSCOPE_SITE_CALLER);
		/* What was noticed late may have been at work before. */
		if (!ret && late && e->chosen && e->kind == BSCOPE_KIND_NEW)
			bs_model_class_missed(s->model, e->klass_id);
		if (!ret && e->chosen && e->kind == BSCOPE_KIND_NEW)
			ret = bs_model_births(s->model, e->klass_id, e->place, i,
					      e->nargs >= BSCOPE_MAX_ARGS);
		if (!ret && e->flags & BSCOPE_SITE_WAITS)
			ret = bs_model_locks(s->model, e->klass_id);
		if (!ret && e->flags & BSCOPE_SITE_TRIES)
			ret = bs_model_numbers(s->model, e->klass_id);
	}
	return ret ? ret : clocks_tell(s);
}

struct forget {
	struct bs_session *s;
	const struct bs_process *p;
};

/* klass 0: all that are being resized. */
static int forget(void *ctx, uint32_t klass, uint64_t id)
{
	struct forget *f = ctx;
	const struct bs_event ev = {.type = BS_EVENT_FORGOTTEN,
				    .ts_ns = f->p->lit_ns,
				    .pid = (uint32_t)f->p->pid,
				    .klass_id = klass,
				    .id = id};

	f->s->sample_left += klass != 0;
	return bs_order_push(f->s->order, &ev);
}

/*
 * With sampling, what was followed by traps has come into the process's own table; but not the
 * objects whose threads were just resizing them, and not more than there was time for.
 */
static int unmoved_forget(struct bs_session *s, const struct bs_process *p)
{
	struct forget f = {s, p};
	int ret;

	if (s->lighting.sample.by == BS_SAMPLE_NOT)
		return 0;
	ret = forget(&f, 0, 0);
	return ret ? ret : bs_collect_sample_left(s->collect, p->pid, forget, &f);
}

/* Takes over what a process has mapped that nobody had before.  Errors but the returned are notes.
 */
static int modules_find(struct bs_session *s, const struct bs_process *p)
{
	struct bs_module **added = NULL;
	struct bs_error err = {0};
	size_t n = 0;
	int ret = bs_process_modules(p->pid, s->modules, s->nmodules, &added, &n, &err);

	/* What cannot be read of a process that is just ending, or executing, is no trouble. */
	if (err.text[0] && ret != -ESRCH && bs_process_alive(p->pid) &&
	    !bs_lighting_executes(&s->lighting, p))
		bs_session_trouble(s, &err);
	if (ret)
		return ret;
	for (size_t i = 0; i < n; i++) {
		memset(&err, 0, sizeof(err));
		if (bs_session_late(s, added[i], &err))
			bs_session_trouble(s, &err);
	}
	free(added);
	return 0;
}

int bs_session_look(struct bs_session *s, struct bs_process *p, bool light)
{
	uint32_t first = bs_sites_count(s->sites) + 1;
	uint64_t stops = s->lighting.stops;
	bool lit = p->how == BS_LIT_JUMP;
	bool lacking = p->how == BS_LIT_TRAP && bs_lighting_lacks_traps(&s->lighting, NULL);
	struct bs_error err = {0};
	uint64_t begin_ns = bs_now_ns();
	int ret = modules_find(s, p);

	p->looked_ns = bs_now_ns();
	p->look_cost_ns = p->looked_ns - begin_ns;
	if (ret)
		return ret;
	if (!light)
		return bs_session_classes(s, first, UINT64_MAX);
	ret = bs_lighting_process(&s->lighting, p, false, &err);
	if (p->how == BS_LIT_JUMP && !lit)
		ret = unmoved_forget(s, p) ? -ENOMEM : ret;
	/* What it had loaded meanwhile may have been at work before it was lit. */
	if (lacking || (lit && s->lighting.stops != stops))
		first = 1;
	if (ret && ret != -ESRCH && bs_process_alive(p->pid)) {
		bs_session_trouble(s, &err);
		return bs_session_classes(s, 1, UINT64_MAX);
	}
	ret = bs_session_classes(s, first, bs_now_ns());
	/* It could not be stopped just now: soon. */
	return ret ? ret : p->how == BS_LIT_JUMP && p->tries;
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

int bs_session_file(struct bs_session *s, const char *path, bool must, struct bs_error *err)
{
	struct bs_module *m = NULL;
	struct bs_error why = {0};
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY), ret;

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
	return bs_session_module(s, m, err);
}

struct library {
	struct bs_session *s;
	struct bs_error *err;
};

static int library_take(void *ctx, const char *path)
{
	struct library *l = ctx;

	return bs_session_file(l->s, path, false, l->err);
}

int bs_session_command(struct bs_session *s, const char *path, const char *preload,
		       struct bs_error *err)
{
	struct library l = {s, err};
	char file[PATH_MAX];
	int ret;

	snprintf(file, sizeof(file), "%s", path);
	/* An interpreter may be a script too; the kernel goes four deep. */
	for (int depth = 0; depth < 5; depth++)
		if (!script_interpreter(file, file, sizeof(file)))
			break;
	ret = bs_session_file(s, file, false, err);
	return ret ? ret : bs_libraries(file, preload, library_take, &l);
}

int bs_session_check(struct bs_session *s, struct bs_error *err)
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

int bs_session_take(struct bs_session *s, struct bs_error *err)
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
			bs_session_trouble(s, err);
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
				ret = bs_session_module(s, added[k], err);
		}
		free(added);
		if (ret)
			return ret;
	}
	return 0;
}

int bs_session_light(struct bs_session *s, struct bs_error *err)
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

bool bs_session_any_chosen(const struct bs_session *s)
{
	for (uint32_t i = 1; i <= bs_sites_count(s->sites); i++)
		if (bs_sites_get(s->sites, i)->chosen)
			return true;
	return false;
}

void bs_session_bystanders(struct bs_session *s)
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

int bs_session_trace(struct bs_session *s, struct bs_error *err)
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

/* number: of the program in its process; 0: not known. */
static void exec_lighting(struct bs_session *s, struct bs_process *p, uint32_t number,
			  uint64_t ts_ns)
{
	/* It was met since, and has been lit as the program that it is. */
	if (number && (int32_t)(number - p->execs) <= 0)
		return;
	if (number)
		p->execs = number;
	bs_lighting_exec(&s->lighting, p, ts_ns);
}

/* What was known of its memory was of the program before. */
static void exec_forget(struct bs_session *s, const struct bs_event *ev)
{
	bs_code_invalidate(s->code, ev->pid);
	if (s->unwind)
		bs_unwind_invalidate(s->unwind, ev->pid);
	bs_session_overhead_forget(s, ev->pid);
	/* Its dynamic linker is at work. */
	s->next_scan_ns = 0;
	s->scan_often_ns = ev->ts_ns + SCAN_OFTEN_NS;
}

void bs_session_life(struct bs_session *s, const struct bs_event *ev)
{
	struct bs_process *p = bs_followed_find(&s->followed, (pid_t)ev->pid), *child;

	switch (ev->type) {
	case BS_EVENT_FORK:
		child = bs_followed_add(&s->followed, (pid_t)ev->arg, p);
		if (p && child)
			bs_lighting_fork(&s->lighting, p, child, ev->id, ev->code);
		bs_code_fork(s->code, ev->pid, (uint32_t)ev->arg);
		if (s->unwind)
			bs_unwind_fork(s->unwind, ev->pid, (uint32_t)ev->arg);
		break;
	case BS_EVENT_EXEC:
		/* What it had said before still has its callers there. */
		if (p) {
			exec_lighting(s, p, ev->code, ev->ts_ns);
			exec_names(p, ev);
		}
		exec_forget(s, ev);
		break;
	case BS_EVENT_EXIT:
		if (p) {
			bs_lighting_exit(&s->lighting, p);
			bs_followed_exit(&s->followed, p);
			if (ev->ts_ns > s->exit_ns)
				s->exit_ns = ev->ts_ns;
		}
		s->exits++;
		break;
	}
}

static const struct bs_process *followed_by_plan(const struct bs_session *s,
						 const struct bs_process *but, uint32_t plan)
{
	for (size_t i = 0; i < s->followed.n; i++)
		if (s->followed.v[i] != but && s->followed.v[i]->plan == plan)
			return s->followed.v[i];
	return NULL;
}

/* Does the child run in the memory of that process? */
static bool in_memory_of(const struct bs_process *owner, pid_t child)
{
	pid_t tid = bs_proc_live_thread(owner->pid);

	return tid > 0 && bs_sharers_same(tid, child);
}

/*
 * It has executed another program, and no record says so.  When that was is not known: what is lit
 * by traps was heard since, and is the new one's.
 */
static int executed(struct bs_session *s, struct bs_process *p, uint32_t number)
{
	const struct bs_event ev = {.type = BS_EVENT_EXEC,
				    .ts_ns = bs_now_ns(),
				    .pid = (uint32_t)p->pid,
				    .tid = (uint32_t)p->pid};
	bool heard = p->how == BS_LIT_TRAP;

	exec_lighting(s, p, number, ev.ts_ns);
	bs_followed_refresh(p);
	exec_forget(s, &ev);
	return heard ? 0 : bs_order_push(s->order, &ev);
}

int bs_session_lost_execs(struct bs_session *s)
{
	int ret = 0;

	for (size_t i = 0; i < s->followed.n && s->life_lost && !ret; i++) {
		struct bs_process *p = s->followed.v[i];
		uint32_t number = p->alive ? bs_collect_execs(s->collect, p->pid) & ~1u : 0;

		if ((int32_t)(number - p->execs) <= 0)
			continue;
		if (number == p->execs_sent)
			ret = executed(s, p, number);
		p->execs_sent = number;
	}
	return ret;
}

/* Of vfork children that have executed a program unheard: it is their own, as are its marks. */
static int lost_vfork_execs(struct bs_session *s)
{
	int ret = 0;

	for (size_t i = 0; i < s->followed.n && !ret; i++) {
		struct bs_process *p = s->followed.v[i];

		if (p->alive && p->how == BS_LIT_SHARES && !in_memory_of(p->shares, p->pid))
			ret = executed(s, p, 0);
	}
	return ret;
}

/* A child that nobody was told of, and that has not executed a program, as vfork makes them? */
static int lost_vfork(struct bs_session *s, struct bs_process *child)
{
	struct bs_event ev = {.type = BS_EVENT_FORK, .ts_ns = bs_now_ns(), .id = 1};
	const struct bs_process *parent;
	pid_t pid;
	char state;

	if (bs_sharers_stat(child->pid, &state, &pid))
		return 0;
	parent = bs_followed_find(&s->followed, pid);
	if (!parent || !in_memory_of(parent, child->pid))
		return 0;
	bs_lighting_fork(&s->lighting, parent, child, true, 0);
	ev.pid = ev.tid = (uint32_t)pid;
	ev.arg = (uint32_t)child->pid;
	return bs_order_push(s->order, &ev);
}

int bs_session_lost_lives(struct bs_session *s)
{
	struct bs_traced *pids = calloc(BS_TRACED_MAX, sizeof(*pids));
	size_t n;
	int ret;

	if (!pids)
		return -ENOMEM;
	ret = lost_vfork_execs(s);
	n = bs_collect_traced(s->collect, pids, BS_TRACED_MAX);
	for (size_t i = 0; i < n && !ret; i++) {
		const struct bs_process *p = bs_followed_find(&s->followed, pids[i].pid), *parent;
		struct bs_process *child;

		if (p && p->alive)
			continue;
		child = bs_followed_add(&s->followed, pids[i].pid, NULL);
		if (!child)
			ret = -ENOMEM;
		/* Asked for after its plan: that is of the program it began with, if this is 0. */
		if (child)
			child->execs = bs_collect_execs(s->collect, child->pid) & ~1u;
		/* Whoever has the same plan has the same memory. */
		parent = child && !child->execs && pids[i].plan
				 ? followed_by_plan(s, child, pids[i].plan)
				 : NULL;
		if (child && !child->execs)
			ret = lost_vfork(s, child);
		if (parent && child->how != BS_LIT_SHARES)
			bs_lighting_fork(&s->lighting, parent, child, false, pids[i].plan);
	}
	free(pids);
	return ret;
}

/* What processes followed that have gone would fill the map. */
static void gone_forget(struct bs_session *s, uint64_t now)
{
	if (s->lighting.sample.by == BS_SAMPLE_NOT || !s->exits || now < s->next_gone_ns)
		return;
	s->exits = 0;
	s->next_gone_ns = now + SCAN_NS;
	bs_collect_sample_gone(s->collect);
}

/* It had, at that time, and no record says so. */
static int ended(struct bs_session *s, struct bs_process *p, uint64_t now)
{
	const struct bs_event ev = {.type = BS_EVENT_EXIT,
				    .ts_ns = now,
				    .pid = (uint32_t)p->pid,
				    .tid = (uint32_t)p->pid};

	bs_session_life(s, &ev);
	return bs_order_push(s->order, &ev);
}

int bs_session_ended(struct bs_session *s)
{
	uint64_t before;

	for (size_t i = 0; i < s->followed.n; i++) {
		struct bs_process *p = s->followed.v[i];
		int ret;

		if (!p->alive || bs_collect_traces(s->collect, p->pid))
			continue;
		/* What it sent may have come since. */
		do
			ret = bs_collect_poll(s->collect, 0, bs_session_record, s, &before);
		while (ret > 0 || ret == -EINTR);
		if (ret)
			return ret;
		ret = p->alive ? ended(s, p, bs_now_ns()) : 0;
		if (ret)
			return ret;
	}
	return 0;
}

int bs_session_scan(struct bs_session *s, uint64_t now)
{
	size_t looked = 0;
	int ret = 0;

	s->lighting.events = s->marks;
	gone_forget(s, now);
	for (size_t i = 0; i < s->followed.n && looked < SCAN_MAX && !ret; i++) {
		struct bs_process *p;

		s->scan_at = s->scan_at + 1 < s->followed.n ? s->scan_at + 1 : 0;
		p = s->followed.v[s->scan_at];
		if (!p->alive)
			continue;
		/*
		 * The kernel's programs know whom they trace.  The record of an exit may be on its
		 * way still, behind the last events of the process: only one that does not come is
		 * done without.
		 */
		if (!bs_collect_traces(s->collect, p->pid)) {
			if (p->missed++ >= EXIT_SCANS)
				ret = ended(s, p, now);
			continue;
		}
		looked++;
		p->missed = 0;
		bs_followed_refresh(p);
		/* What has gone meanwhile is for the next look. */
		if (bs_session_look(s, p, true) == -ENOMEM)
			ret = -ENOMEM;
	}
	s->next_scan_ns = now + (now < s->scan_often_ns			    ? SCAN_EXEC_NS
				 : s->lighting.trapped && s->lighting.guard ? SCAN_TRAP_NS
									    : SCAN_NS);
	return ret;
}
