/* SPDX-License-Identifier: GPL-2.0-only */
/* followed.c - the table of traced processes. */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bscope-trace/followed.h"
#include "target/process.h"

struct bs_process *bs_followed_add(struct bs_followed *f, pid_t pid,
				   const struct bs_process *parent)
{
	struct bs_process *p, *before;

	if (f->n == f->room) {
		size_t room = f->room ? 2 * f->room : 16;
		struct bs_process **grown = reallocarray(f->v, room, sizeof(*grown));

		if (!grown)
			return NULL;
		f->v = grown;
		f->room = room;
	}
	p = calloc(1, sizeof(*p));
	if (!p)
		return NULL;
	p->pid = pid;
	p->alive = true;
	if (parent) {
		memcpy(p->comm, parent->comm, sizeof(p->comm));
		memcpy(p->exe, parent->exe, sizeof(p->exe));
	} else {
		bs_process_name(pid, p->comm, sizeof(p->comm), p->exe, sizeof(p->exe));
		bs_process_cpu_ns(pid, &p->cpu_first_ns);
	}
	p->cpu_last_ns = p->cpu_first_ns;
	HASH_FIND_INT(f->by_pid, &pid, before);
	if (before) {
		HASH_DEL(f->by_pid, before);
		bs_followed_exit(f, before);
	}
	HASH_ADD_INT(f->by_pid, pid, p);
	p->number = f->n;
	f->v[f->n++] = p;
	f->nalive++;
	return p;
}

struct bs_process *bs_followed_find(const struct bs_followed *f, pid_t pid)
{
	struct bs_process *p;

	HASH_FIND_INT(f->by_pid, &pid, p);
	return p;
}

void bs_followed_refresh(struct bs_process *p)
{
	char comm[sizeof(p->comm)], exe[sizeof(p->exe)];
	uint64_t cpu;

	bs_process_name(p->pid, comm, sizeof(comm), exe, sizeof(exe));
	if (strcmp(comm, "?"))
		memcpy(p->comm, comm, sizeof(comm));
	if (strcmp(exe, "?"))
		memcpy(p->exe, exe, sizeof(exe));
	if (!bs_process_cpu_ns(p->pid, &cpu) && cpu > p->cpu_last_ns)
		p->cpu_last_ns = cpu;
}

void bs_followed_exec(struct bs_process *p, const char comm[16])
{
	snprintf(p->comm, sizeof(p->comm), "%.15s", comm);
	snprintf(p->exe, sizeof(p->exe), "?");
	bs_followed_refresh(p);
}

void bs_followed_exit(struct bs_followed *f, struct bs_process *p)
{
	if (!p->alive)
		return;
	p->alive = false;
	f->nalive--;
}

uint64_t bs_followed_cpu_ns(const struct bs_followed *f)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < f->n; i++)
		sum += f->v[i]->cpu_last_ns - f->v[i]->cpu_first_ns;
	return sum;
}

void bs_followed_fini(struct bs_followed *f)
{
	HASH_CLEAR(hh, f->by_pid);
	for (size_t i = 0; i < f->n; i++) {
		free(f->v[i]->pools);
		free(f->v[i]);
	}
	free(f->v);
	memset(f, 0, sizeof(*f));
}
