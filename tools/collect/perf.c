// SPDX-License-Identifier: GPL-2.0-only
/*
 * perf.c - lights sites by perf events: for kernels without uprobe_multi.
 *
 * Closing the perf event of a uprobe waits for several RCU grace periods while it holds
 * event_mutex: 20 ms on Linux 6.1, 90 ms on 6.18, one after the other whatever number of
 * threads closes them.  2,000 sites would stay lit for minutes after the tool has left.  So
 * many sites share one event: a uprobe event of tracefs may have many probes, and is opened and
 * closed as a whole.
 *
 * What is lost by it is the cookie for each site.  The program knows the event (its cookie) and
 * the address that was hit; of the address the place in its page is the same in every process.
 * So no two probes of one event may lie at the same place of a page: the k-th probe at some
 * place goes to the k-th event.  A few events do for thousands of sites.
 *
 * Where tracefs cannot be written (not uid 0), each site gets its own event.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <linux/perf_event.h>

#include "bpf/event.h"
#include "collect/light.h"

static const char *const tracefs[] = {"/sys/kernel/tracing", "/sys/kernel/debug/tracing"};

/* Events are named bscope_PID/gN; N counts through the life of this process. */
static unsigned int next_group;

/* Opens a file below the directory root (AT_FDCWD for full paths). */
static FILE *open_below(int root, const char *path)
{
	int fd = openat(root, path, O_RDONLY | O_CLOEXEC);
	FILE *file = fd < 0 ? NULL : fdopen(fd, "r");

	if (!file && fd >= 0)
		close(fd);
	return file;
}

static int read_uint(int root, const char *path, const char *format, unsigned int *value)
{
	FILE *file = open_below(root, path);
	int ret = 0;

	if (!file)
		return errno == ENOENT ? -ENOSYS : -errno;
	if (fscanf(file, format, value) != 1)
		ret = -ENOSYS;
	fclose(file);
	return ret;
}

static int link_event(int prog_fd, struct perf_event_attr *attr, uint64_t cookie)
{
	LIBBPF_OPTS(bpf_link_create_opts, opts, .perf_event.bpf_cookie = cookie);
	/* perf insists on a CPU, any that is there; the program runs on all. */
	int event, link, cpu = sched_getcpu();

	attr->size = sizeof(*attr);
	event = (int)syscall(SYS_perf_event_open, attr, -1, cpu < 0 ? 0 : cpu, -1,
			     PERF_FLAG_FD_CLOEXEC);
	if (event < 0)
		return -errno;
	link = bpf_link_create(prog_fd, event, BPF_PERF_EVENT, &opts);
	if (link < 0)
		link = -errno;
	/* The link keeps the event. */
	close(event);
	return link;
}

/* --- many sites for each event ---------------------------------------------------------------- */

/* tracefs where it is mounted, else a mount of our own that no path leads to. */
static int open_tracefs(void)
{
	int root, fs;

	for (size_t i = 0; i < sizeof(tracefs) / sizeof(tracefs[0]); i++) {
		root = open(tracefs[i], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (root >= 0 && !faccessat(root, "uprobe_events", W_OK, 0))
			return root;
		if (root >= 0)
			close(root);
	}
	fs = fsopen("tracefs", FSOPEN_CLOEXEC);
	if (fs < 0)
		return -errno;
	root = -1;
	if (!fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0))
		root = fsmount(fs, FSMOUNT_CLOEXEC, 0);
	close(fs);
	return root;
}

/* The file of definitions; *root is the directory it is in, or -1. */
static int open_events(int *root)
{
	int events = -1;

	*root = open_tracefs();
	if (*root >= 0)
		events = openat(*root, "uprobe_events", O_WRONLY | O_APPEND | O_CLOEXEC);
	if (events < 0 && *root >= 0) {
		close(*root);
		*root = -1;
	}
	return events;
}

static void remove_group(int events, int pid, unsigned int group)
{
	char line[64];
	int n = snprintf(line, sizeof(line), "-:bscope_%d/g%u\n", pid, group);

	/* Refused only while in use, and then there is nothing else to be done. */
	if (write(events, line, (size_t)n) < 0)
		return;
}

/*
 * What a tool that was killed has left: definitions, with no probe in anybody's text.  pid is
 * that of the definition; a number that has been given anew is left for another day.
 */
static void remove_stale(int events, int root)
{
	struct {
		int pid;
		unsigned int group;
	} *stale = NULL, *more;
	unsigned int group;
	char *line = NULL;
	size_t size = 0, n = 0;
	FILE *file;
	int pid;

	file = open_below(root, "uprobe_events");
	if (!file)
		return;
	while (getline(&line, &size, file) > 0) {
		if (sscanf(line, "p:bscope_%d/g%u ", &pid, &group) != 2 || pid <= 0 ||
		    !kill(pid, 0) || errno != ESRCH)
			continue;
		if (n && stale[n - 1].pid == pid && stale[n - 1].group == group)
			continue;
		more = realloc(stale, (n + 1) * sizeof(*stale));
		if (!more)
			break;
		stale = more;
		stale[n].pid = pid;
		stale[n++].group = group;
	}
	fclose(file);
	free(line);
	while (n--)
		remove_group(events, stale[n].pid, stale[n].group);
	free(stale);
}

/* Defines one probe; further ones of the same name join the event. */
static int define(int events, unsigned int group, const char *path, const struct bs_probe *probe)
{
	char line[256], ref[32] = "";
	int n;

	if (probe->ref_ctr)
		snprintf(ref, sizeof(ref), "(0x%llx)", (unsigned long long)probe->ref_ctr);
	n = snprintf(line, sizeof(line), "p:bscope_%d/g%u %s:0x%llx%s\n", (int)getpid(), group,
		     path, (unsigned long long)probe->offset, ref);
	if (n < 0 || (size_t)n >= sizeof(line))
		return -ENAMETOOLONG;
	return write(events, line, (size_t)n) == n ? 0 : -errno;
}

static int open_group(int root, unsigned int group, int prog_fd)
{
	struct perf_event_attr attr = {.type = PERF_TYPE_TRACEPOINT};
	unsigned int id;
	char path[96];
	int ret;

	snprintf(path, sizeof(path), "events/bscope_%d/g%u/id", (int)getpid(), group);
	ret = read_uint(root, path, "%u", &id);
	if (ret)
		return ret;
	attr.config = id;
	return link_event(prog_fd, &attr, group);
}

static int attach_groups(int events, int root, int prog_fd, int places_fd, const char *path,
			 const struct bs_probe *probes, size_t n, struct bs_link *links,
			 size_t *n_links)
{
	unsigned int *at = calloc(BS_PLACES, sizeof(*at)), first = next_group, groups = 0;
	int ret = 0;

	if (!at)
		return -ENOMEM;
	for (size_t i = 0; i < n && !ret; i++) {
		__u32 place = probes[i].offset % BS_PLACES, site = (__u32)probes[i].cookie;
		unsigned int nth = at[place]++;
		__u32 key = (first + nth) * BS_PLACES + place;

		if (nth >= groups)
			groups = nth + 1;
		next_group = first + groups;
		ret = next_group > UINT32_MAX / BS_PLACES ? -ENOSPC : 0;
		if (!ret)
			ret = define(events, first + nth, path, &probes[i]);
		if (!ret && bpf_map_update_elem(places_fd, &key, &site, BPF_ANY))
			ret = -errno;
	}
	for (unsigned int i = 0; i < groups && !ret; i++) {
		int fd = open_group(root, first + i, prog_fd);

		if (fd < 0) {
			ret = fd;
			break;
		}
		links[(*n_links)++] = (struct bs_link){.fd = fd, .group = (int)(first + i)};
	}
	if (ret) {
		bs_links_close(links, *n_links);
		/* Those that were not opened; the others have just gone. */
		for (size_t i = *n_links; i < groups; i++)
			remove_group(events, getpid(), first + (unsigned int)i);
		*n_links = 0;
	}
	free(at);
	return ret;
}

/* --- an event for each site ------------------------------------------------------------------- */

/* What the soft limit gives (1,024) may not do. */
static void raise_nofile(size_t want)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) || limit.rlim_cur >= want)
		return;
	if (limit.rlim_max < want) {
		struct rlimit raised = {want, want};

		if (!setrlimit(RLIMIT_NOFILE, &raised))
			return;
		want = limit.rlim_max;
	}
	limit.rlim_cur = want;
	setrlimit(RLIMIT_NOFILE, &limit);
}

static int attach_single(int prog_fd, const char *path, const struct bs_probe *probes, size_t n,
			 struct bs_link *links, size_t *n_links)
{
	unsigned int type, ref_shift;
	int ret, fd = dup(prog_fd);

	ret = read_uint(AT_FDCWD, "/sys/bus/event_source/devices/uprobe/type", "%u", &type);
	if (!ret)
		ret = read_uint(AT_FDCWD,
				"/sys/bus/event_source/devices/uprobe/format/ref_ctr_offset",
				"config:%u", &ref_shift);
	if (!ret && ref_shift > 63)
		ret = -ENOSYS;
	/* fd: the lowest free number, so about as many are open. */
	raise_nofile((size_t)(fd < 0 ? 1024 : fd) + n + 64);
	if (fd >= 0)
		close(fd);
	for (size_t i = 0; i < n && !ret; i++) {
		struct perf_event_attr attr = {.type = type};

		attr.config = probes[i].ref_ctr << ref_shift;
		if (attr.config >> ref_shift != probes[i].ref_ctr) {
			ret = -E2BIG;
			break;
		}
		attr.config1 = (uintptr_t)path;
		attr.config2 = probes[i].offset;
		fd = link_event(prog_fd, &attr, BS_COOKIE_SITE | probes[i].cookie);
		if (fd < 0)
			ret = fd;
		else
			links[(*n_links)++] = (struct bs_link){.fd = fd, .group = BS_GROUP_SINGLE};
	}
	if (ret) {
		bs_links_close(links, *n_links);
		*n_links = 0;
	}
	return ret;
}

int bs_perf_attach(int prog_fd, int places_fd, const char *path, const struct bs_probe *probes,
		   size_t n, struct bs_link *links, size_t *n_links)
{
	int root, events, ret;

	*n_links = 0;
	events = open_events(&root);
	if (events < 0)
		return attach_single(prog_fd, path, probes, n, links, n_links);
	remove_stale(events, root);
	ret = attach_groups(events, root, prog_fd, places_fd, path, probes, n, links, n_links);
	close(events);
	close(root);
	return ret;
}

struct close_call {
	const struct bs_link *links;
	size_t n;
};

static int close_all(void *ctx)
{
	const struct close_call *call = ctx;

	for (size_t i = 0; i < call->n; i++)
		close(call->links[i].fd);
	return 0;
}

void bs_links_close(const struct bs_link *links, size_t n)
{
	struct close_call call = {links, n};
	int root = -1, events = -1;

	if (!n)
		return;
	/* Links of one call are of one kind. */
	if (links[0].group == BS_GROUP_MULTI)
		bs_shielded(close_all, &call);
	else
		close_all(&call);
	for (size_t i = 0; i < n; i++) {
		if (links[i].group < 0)
			continue;
		if (events < 0)
			events = open_events(&root);
		if (events < 0)
			break;
		remove_group(events, getpid(), (unsigned int)links[i].group);
	}
	if (events >= 0) {
		close(events);
		close(root);
	}
}
