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

#include "base/error.h"
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
/* 48 MB of held events at most. */
#define ORDER_MAX_HELD (1u << 20)

#define POLL_MS	      50
#define TICK_NS	      (250 * NS_PER_MS)
#define MODEL_TICK_NS (50 * NS_PER_MS)
/* New libraries (dlopen) and processes that went without a record are noticed this often. */
#define SCAN_NS (NS_PER_S / 2)
/* After an exec the dynamic linker maps libraries: look more often for a while. */
#define SCAN_EXEC_NS  (5 * NS_PER_MS)
#define SCAN_OFTEN_NS (NS_PER_S / 2)
/* At most so many processes per look, so that a thousand followed children cost little. */
#define SCAN_MAX 64

static uint64_t clock_ns(clockid_t id)
{
	struct timespec ts;

	clock_gettime(id, &ts);
	return (uint64_t)ts.tv_sec * NS_PER_S + (uint64_t)ts.tv_nsec;
}

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

/* Takes the module over, numbers its sites and lights the chosen ones (if collect is there). */
static int module_light(struct bs_session *s, struct bs_module *m, struct bs_error *err)
{
	uint32_t first, n, chosen = 0;
	struct bs_module **grown;
	struct bs_light *light;
	int ret;

	grown = reallocarray(s->modules, s->nmodules + 1, sizeof(*grown));
	if (!grown) {
		bs_module_free(m);
		return bs_error_set(err, -ENOMEM, "out of memory");
	}
	s->modules = grown;
	s->modules[s->nmodules++] = m;
	ret = bs_sites_add(s->sites, m, s->options->filter, &first, &n);
	if (ret)
		return bs_error_set(err, ret, "out of memory for the sites of %s", m->path);
	light = calloc(n ? n : 1, sizeof(*light));
	if (!light)
		return bs_error_set(err, -ENOMEM, "out of memory for the sites of %s", m->path);
	for (uint32_t i = first; i < first + n; i++) {
		const struct bs_expansion *e = bs_sites_get(s->sites, i);

		if (!e->chosen)
			continue;
		light[chosen].index = i;
		light[chosen].probe_offset = e->site->probe_offset;
		light[chosen].semaphore_offset = e->site->semaphore_offset;
		light[chosen].spec = e->site->spec;
		chosen++;
	}
	if (chosen)
		ret = bs_collect_light(s->collect, m->fd, m->path, light, chosen, err);
	free(light);
	if (!ret && s->options->verbose)
		fprintf(stderr, "bscope-trace: %s: %u of %u sites lit (%s)\n", m->path, chosen, n,
			bs_collect_method(s->collect));
	return ret;
}

/* Lights whatever pid has mapped that is not known yet.  Errors are notes: the rest goes on. */
static void process_scan(struct bs_session *s, pid_t pid)
{
	struct bs_module **added = NULL;
	struct bs_error err = {0};
	size_t n = 0;
	int ret = bs_process_modules(pid, s->modules, s->nmodules, &added, &n, &err);

	/* What cannot be read of a process that is just ending is no trouble. */
	if (err.text[0] && ret != -ESRCH && bs_process_alive(pid))
		trouble_note(s, &err);
	if (ret)
		return;
	for (size_t i = 0; i < n; i++) {
		const char *path = added[i]->path;
		size_t known = s->nmodules;

		memset(&err, 0, sizeof(err));
		if (module_light(s, added[i], &err))
			trouble_note(s, &err);
		if (s->nmodules == known || s->nlate++)
			continue;
		s->late_path = path;
		s->late_ns = clock_ns(CLOCK_MONOTONIC);
	}
	free(added);
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
static int file_light(struct bs_session *s, const char *path, bool must, struct bs_error *err)
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
	return module_light(s, m, err);
}

/* The COMMAND's file, or if it is a script the program that interprets it. */
static int command_light(struct bs_session *s, const char *path, struct bs_error *err)
{
	char file[PATH_MAX];

	snprintf(file, sizeof(file), "%s", path);
	/* An interpreter may be a script too; the kernel goes four deep. */
	for (int depth = 0; depth < 5; depth++)
		if (!script_interpreter(file, file, sizeof(file)))
			break;
	return file_light(s, file, false, err);
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

/* Reads and lights all modules of the given processes; unlike process_scan, errors end it. */
static int processes_light(struct bs_session *s, struct bs_error *err)
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
				ret = module_light(s, added[k], err);
		}
		free(added);
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

int bs_session_new(const struct bs_options *o, struct bs_command *command, const char *preload,
		   struct bs_session **out, struct bs_error *err)
{
	struct bs_collect_opts co = {.ring_bytes = o->buffer_bytes,
				     .log = o->verbose ? log_line : NULL};
	struct bs_session *s = calloc(1, sizeof(*s));
	struct bs_model_opts mo = {0};
	int ret = -ENOMEM;

	if (!s)
		return bs_error_set(err, -ENOMEM, "out of memory");
	s->options = o;
	s->command = command;
	s->sites = bs_sites_new();
	s->order = bs_order_new(ORDER_MAX_HELD);
	s->code = bs_code_new();
	if (!s->sites || !s->order || !s->code) {
		bs_error_set(err, ret, "out of memory");
		goto fail;
	}
	s->decoder =
		(struct bs_decoder){.sites = s->sites, .code = bs_code_intern, .code_ctx = s->code};
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
	if (preload)
		ret = file_light(s, preload, true, err);
	if (!ret && command)
		ret = command_light(s, command->path, err);
	if (!ret)
		ret = processes_light(s, err);
	if (!ret && s->nmodules && !any_chosen(s))
		ret = bs_error_set(err, -ENOENT, "-f: no site matches: see the sites with --list");
	if (ret)
		goto fail;
	bystanders_count(s);
	s->start_real_ns = clock_ns(CLOCK_REALTIME);
	s->start_ns = s->watermark_ns = mo.start_ns = bs_collect_start(s->collect);
	s->tool_cpu_ns = clock_ns(CLOCK_PROCESS_CPUTIME_ID);
	s->model = bs_model_new(&mo);
	if (!s->model) {
		ret = bs_error_set(err, -ENOMEM, "out of memory");
		goto fail;
	}
	*out = s;
	return 0;
fail:
	bs_session_free(s);
	return ret;
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
	struct bs_process *p = bs_followed_find(&s->followed, (pid_t)ev->pid);

	switch (ev->type) {
	case BS_EVENT_FORK:
		bs_followed_add(&s->followed, (pid_t)ev->arg, p);
		bs_code_fork(s->code, ev->pid, (uint32_t)ev->arg);
		break;
	case BS_EVENT_EXEC:
		bs_code_invalidate(s->code, ev->pid);
		if (p)
			exec_names(p, ev);
		/* Its dynamic linker is at work. */
		s->next_scan_ns = 0;
		s->scan_often_ns = ev->ts_ns + SCAN_OFTEN_NS;
		break;
	case BS_EVENT_EXIT:
		if (p)
			bs_followed_exit(&s->followed, p);
		break;
	}
}

static int model_take(void *ctx, const struct bs_event *ev)
{
	struct bs_session *s = ctx;

	return bs_model_event(s->model, ev);
}

static int release(struct bs_session *s, uint64_t watermark)
{
	int ret = bs_order_release(s->order, watermark, model_take, s);

	if (!ret && watermark != UINT64_MAX && watermark > s->watermark_ns)
		s->watermark_ns = watermark;
	return ret < 0 ? ret : 0;
}

/* One raw record: decoded and put in line.  What cannot be decoded is counted by the decoder. */
static int record_take(void *ctx, const void *data, size_t size)
{
	struct bs_session *s = ctx;
	struct bs_event ev;
	int ret;

	if (bs_decode(&s->decoder, data, size, &ev))
		return 0;
	if (ev.type == BS_EVENT_MARK)
		s->marks++;
	else
		life_event(s, &ev);
	ret = bs_order_push(s->order, &ev);
	/* One poll can bring more than is to be held: the oldest go on. */
	if (!ret && bs_order_full(s->order))
		ret = release(s, s->watermark_ns);
	return ret;
}

/*
 * Children whose fork record did not fit into the ring: the kernel's programs trace them all the
 * same, so they are asked for.
 */
static int find_lost_children(struct bs_session *s)
{
	pid_t *pids = calloc(BS_TRACED_MAX, sizeof(*pids));
	size_t n;
	int ret = 0;

	if (!pids)
		return -ENOMEM;
	n = bs_collect_traced(s->collect, pids, BS_TRACED_MAX);
	for (size_t i = 0; i < n && !ret; i++) {
		const struct bs_process *p = bs_followed_find(&s->followed, pids[i]);

		if ((!p || !p->alive) && !bs_followed_add(&s->followed, pids[i], NULL))
			ret = -ENOMEM;
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
	lost = c.sum.lost_ring + c.sum.lost_spec + c.missed;
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

	for (size_t i = 0; i < s->followed.n && looked < SCAN_MAX; i++) {
		struct bs_process *p;

		s->scan_at = s->scan_at + 1 < s->followed.n ? s->scan_at + 1 : 0;
		p = s->followed.v[s->scan_at];
		if (!p->alive)
			continue;
		looked++;
		/* The pid may have come round; the kernel's programs know whom they trace. */
		if (!bs_collect_traces(s->collect, p->pid) || !bs_process_alive(p->pid)) {
			bs_followed_exit(&s->followed, p);
			continue;
		}
		bs_followed_refresh(p);
		process_scan(s, p->pid);
	}
	s->next_scan_ns = now + (now < s->scan_often_ns ? SCAN_EXEC_NS : SCAN_NS);
}

int bs_session_run(struct bs_session *s, const volatile sig_atomic_t *stop,
		   void (*tick)(void *ctx, const struct bs_session *s), void *ctx,
		   struct bs_error *err)
{
	uint64_t deadline = UINT64_MAX, next_tick = 0, next_model = 0, now, before;
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

		now = clock_ns(CLOCK_MONOTONIC);
		if (now >= deadline)
			break;
		if ((deadline - now) / NS_PER_MS < (uint64_t)timeout)
			timeout = (int)((deadline - now) / NS_PER_MS) + 1;
		if (s->next_scan_ns > now &&
		    (s->next_scan_ns - now) / NS_PER_MS < (uint64_t)timeout)
			timeout = (int)((s->next_scan_ns - now) / NS_PER_MS) + 1;
		ret = bs_collect_poll(s->collect, timeout, record_take, s, &before);
		if (ret < 0 && ret != -EINTR)
			break;
		ret = 0;
		if (before > s->start_ns + ORDER_SLACK_NS)
			ret = release(s, before - ORDER_SLACK_NS);
		if (ret)
			break;
		now = clock_ns(CLOCK_MONOTONIC);
		if (now >= next_model || !s->followed.nalive) {
			ret = loss_check(s, now);
			if (!ret)
				ret = bs_model_tick(s->model, s->watermark_ns);
			if (ret)
				break;
			next_model = now + MODEL_TICK_NS;
		}
		if (now >= s->next_scan_ns)
			scan(s, now);
		if (s->command)
			bs_command_poll(s->command);
		if (tick && now >= next_tick) {
			tick(ctx, s);
			next_tick = now + TICK_NS;
		}
	}
	return ret < 0 ? bs_error_set(err, ret, "cannot read events: %s", strerror(-ret)) : 0;
}

int bs_session_end(struct bs_session *s, struct bs_error *err)
{
	uint64_t before;
	int ret;

	for (size_t i = 0; i < s->followed.n; i++)
		if (s->followed.v[i]->alive)
			bs_followed_refresh(s->followed.v[i]);
	s->end_ns = bs_collect_dark(s->collect);
	do
		ret = bs_collect_poll(s->collect, 0, record_take, s, &before);
	while (ret > 0 || ret == -EINTR);
	if (!ret)
		ret = release(s, UINT64_MAX);
	if (!ret)
		ret = bs_collect_counts(s->collect, &s->counts);
	if (!ret)
		ret = loss_check(s, s->end_ns);
	if (!ret)
		ret = bs_model_tick(s->model, s->end_ns);
	s->tool_cpu_ns = clock_ns(CLOCK_PROCESS_CPUTIME_ID) - s->tool_cpu_ns;
	if (s->command)
		bs_command_poll(s->command);
	return ret ? bs_error_set(err, ret, "cannot finish the trace: %s", strerror(-ret)) : 0;
}

void bs_session_free(struct bs_session *s)
{
	if (!s)
		return;
	bs_collect_free(s->collect);
	bs_model_free(s->model);
	bs_order_free(s->order);
	bs_code_free(s->code);
	bs_sites_free(s->sites);
	for (size_t i = 0; i < s->nmodules; i++)
		bs_module_free(s->modules[i]);
	free(s->modules);
	bs_followed_fini(&s->followed);
	free(s->trouble);
	free(s);
}
