// SPDX-License-Identifier: GPL-2.0-only
/*
 * collect_traced.c - which processes are traced, by which plan, and what the kernel's programs know
 * of their threads and buffers.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "base/error.h"
#include "collect/collect.h"
#include "collect/collect_state.h"
#include "trace.skel.h"

/*
 * favourite is set before the map's member and cleared after it is gone, and the exit program
 * clears it as well: whoever dies in between is found dead by runs().
 */
int bs_collect_remember(struct bs_collect *c, pid_t pid)
{
	__u32 key = (__u32)pid, plan = c->skel->bss->exec_plan;

	if (!c->skel->bss->favourite) {
		c->skel->bss->favourite_plan = plan;
		__atomic_store_n(&c->skel->bss->favourite, key, __ATOMIC_RELEASE);
	}
	if (!bpf_map_update_elem(bpf_map__fd(c->skel->maps.traced), &key, &plan, BPF_ANY))
		return 0;
	return -errno;
}

void bs_collect_forget(struct bs_collect *c, pid_t pid)
{
	__u32 key = (__u32)pid;

	bpf_map_delete_elem(bpf_map__fd(c->skel->maps.traced), &key);
	__atomic_compare_exchange_n(&c->skel->bss->favourite, &key, 0, false, __ATOMIC_RELAXED,
				    __ATOMIC_RELAXED);
}

/* False as well for a zombie: its exit has been, nobody would take it out of the map again. */
static bool runs(pid_t pid)
{
	char path[64], state = 0;
	struct dirent *entry;
	size_t tasks = 0;
	FILE *file;
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	file = fopen(path, "re");
	if (!file)
		return false;
	/* pid (comm) state, and comm may hold anything, ')' too */
	for (int ch, bracket = 0; (ch = fgetc(file)) != EOF;) {
		if (bracket && ch != ' ' && ch != ')')
			state = (char)ch;
		if (bracket && ch == ' ')
			continue;
		if (ch == ')') {
			bracket = 1;
			state = 0;
		} else if (bracket) {
			bracket = 0;
		}
	}
	fclose(file);
	if (state != 'Z' && state != 'X')
		return true;
	/* The first thread is dead; are there others? */
	snprintf(path, sizeof(path), "/proc/%d/task", (int)pid);
	dir = opendir(path);
	while (dir && (entry = readdir(dir)))
		tasks += entry->d_name[0] != '.';
	if (dir)
		closedir(dir);
	return tasks > 1;
}

int bs_collect_trace(struct bs_collect *c, pid_t pid, struct bs_error *err)
{
	int ret;

	if (pid <= 0 || (kill(pid, 0) && errno == ESRCH))
		return bs_error_set(err, -ESRCH, "pid %d: no such process", (int)pid);
	ret = bs_collect_remember(c, pid);
	if (ret) {
		bs_collect_forget(c, pid);
		return bs_error_set(err, ret, "pid %d: cannot be traced: %s", (int)pid,
				    ret == -E2BIG ? "too many processes" : strerror(-ret));
	}
	/* It may have died just before; a number left behind would trace its next owner. */
	if (!runs(pid)) {
		bs_collect_forget(c, pid);
		return bs_error_set(err, -ESRCH, "pid %d: has exited", (int)pid);
	}
	return 0;
}

void bs_collect_untrace(struct bs_collect *c, pid_t pid)
{
	bs_collect_forget(c, pid);
}

bool bs_collect_traces(const struct bs_collect *c, pid_t pid)
{
	__u32 key = (__u32)pid, value;

	return !bpf_map_lookup_elem(bpf_map__fd(c->skel->maps.traced), &key, &value);
}

size_t bs_collect_traced(const struct bs_collect *c, struct bs_traced *out, size_t max)
{
	int map = bpf_map__fd(c->skel->maps.traced);
	__u32 key, next;
	size_t n = 0;

	/* A key that goes meanwhile makes the walk start anew; the caller can tell doubles. */
	for (int ret = bpf_map_get_next_key(map, NULL, &next); !ret && n < max;
	     ret = bpf_map_get_next_key(map, &key, &next)) {
		key = next;
		out[n].pid = (pid_t)next;
		if (bpf_map_lookup_elem(map, &key, &out[n].plan))
			continue;
		/* Nothing of its text is ours. */
		if (out[n].plan == BS_TRACED_DARK)
			out[n].plan = 0;
		n++;
	}
	return n;
}

int bs_collect_set_plan(const struct bs_collect *c, pid_t pid, uint32_t plan)
{
	__u32 key = (__u32)pid;

	if (bpf_map_update_elem(bpf_map__fd(c->skel->maps.traced), &key, &plan, BPF_EXIST))
		return -errno;
	if (c->skel->bss->favourite == key)
		__atomic_store_n(&c->skel->bss->favourite_plan, plan, __ATOMIC_RELAXED);
	return 0;
}

uint32_t bs_collect_execs(const struct bs_collect *c, pid_t pid)
{
	__u32 key = (__u32)pid, n;

	return bpf_map_lookup_elem(bpf_map__fd(c->skel->maps.execs), &key, &n) ? 0 : n;
}

void bs_collect_exec_dark(struct bs_collect *c, bool dark)
{
	__atomic_store_n(&c->skel->bss->exec_plan, dark ? BS_TRACED_DARK : BS_TRACED_TRAP,
			 __ATOMIC_RELEASE);
}

bool bs_collect_is_dark(const struct bs_collect *c, pid_t pid)
{
	__u32 key = (__u32)pid, plan;

	return !bpf_map_lookup_elem(bpf_map__fd(c->skel->maps.traced), &key, &plan) &&
	       plan == BS_TRACED_DARK;
}

uint64_t bs_collect_shares(const struct bs_collect *c)
{
	return __atomic_load_n(&c->skel->bss->shares, __ATOMIC_RELAXED);
}

uint32_t bs_collect_owner(const struct bs_collect *c, uint32_t pid, uint64_t buffer)
{
	int map = bpf_map__fd(c->skel->maps.buffers);
	__u32 key, next;

	for (int ret = bpf_map_get_next_key(map, NULL, &next); !ret;
	     ret = bpf_map_get_next_key(map, &key, &next)) {
		struct bs_thread_buffer value;
		char path[64];

		key = next;
		if (bpf_map_lookup_elem(map, &key, &value) || value.buffer != buffer)
			continue;
		/* Other processes have buffers at the same address. */
		snprintf(path, sizeof(path), "/proc/%u/task/%u", pid, key);
		if (!access(path, F_OK))
			return key;
	}
	return 0;
}

bool bs_collect_end(const struct bs_collect *c, uint32_t pid, uint64_t buffer, struct bs_end *end)
{
	int map = bpf_map__fd(c->skel->maps.ends);
	struct bs_end_key key = {.buffer = buffer, .pid = pid};

	if (bpf_map_lookup_elem(map, &key, end))
		return false;
	bpf_map_delete_elem(map, &key);
	return true;
}
