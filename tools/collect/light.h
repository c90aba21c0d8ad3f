/* SPDX-License-Identifier: GPL-2.0-only */
/* light.h - inside collect: the two ways to light sites, the tool's own site, diagnosis. */
#ifndef BS_COLLECT_LIGHT_H
#define BS_COLLECT_LIGHT_H

#include <stddef.h>
#include <stdint.h>

struct bs_error;

/*
 * What the kernel is told of one probe.  offset and ref_ctr are offsets in the file; a ref_ctr
 * of 0 is none.
 */
struct bs_probe {
	uint64_t offset;
	uint64_t ref_ctr;
	uint64_t cookie;
};

/* BPF_TRACE_UPROBE_MULTI, Linux 6.6; Debian's headers are older. */
#define BS_ATTACH_UPROBE_MULTI 48

/*
 * One link for all n probes, in every process that maps the file.  The program must have been
 * loaded with BS_ATTACH_UPROBE_MULTI.  Closing *fd puts the probes out; when close returns, the
 * program runs no more.  Returns 0 or -errno.
 */
int bs_multi_attach(int prog_fd, const char *path, const struct bs_probe *probes, size_t n,
		    int *fd);

/* What keeps probes lit; group is the number of a tracefs event, or one of these. */
#define BS_GROUP_MULTI	-1 /* none: a uprobe_multi link */
#define BS_GROUP_SINGLE -2 /* none: a perf event for one site */
struct bs_link {
	int fd;
	int group;
};

/*
 * The same by perf events.  places_fd is the map `places`, through which the program finds the
 * site; links has room for n, *n_links says how many were needed.  All or none.  Returns 0 or
 * -errno.
 */
int bs_perf_attach(int prog_fd, int places_fd, const char *path, const struct bs_probe *probes,
		   size_t n, struct bs_link *links, size_t *n_links);

/* Closes links of either kind. */
void bs_links_close(const struct bs_link *links, size_t n);

/*
 * Calls fn(ctx), which makes system calls and little else, in a way that nothing but its own end
 * ends: not SIGKILL to the tool.  What it opens is open here afterwards.  Returns what fn returns.
 */
int bs_shielded(int (*fn)(void *ctx), void *ctx);

/* Where something of this program is in its file; 0 (the ELF header's place) if nowhere. */
uint64_t bs_own_offset(const volatile void *address);

/* The tool's own site: a probe that it can light and hit by itself. */
struct bs_own_site {
	char path[32];
	uint64_t offset;
};
int bs_own_site_find(struct bs_own_site *own);
void bs_own_site_hit(void);
/* The same below so many frames, at least 1; that is all that a walk by frame pointers sees. */
void bs_own_site_hit_deep(unsigned int frames);

/*
 * Makes a sentence, with the remedy, of a failure (-errno) to load or attach what: which
 * capability is missing, what the kernel lacks.  Returns the code that it stored in err.
 */
int bs_caps_explain(struct bs_error *err, int code, const char *what);

#endif
