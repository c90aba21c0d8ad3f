// SPDX-License-Identifier: GPL-2.0-only
/* multi.c - thousands of probes by one uprobe_multi link (Linux 6.6). */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <linux/bpf.h>

#include "bpf/event.h"
#include "collect/light.h"

/*
 * union bpf_attr of BPF_LINK_CREATE, as include/uapi/linux/bpf.h of Linux 6.6 has it.  Neither
 * the headers nor the library of Debian 12 know it.
 */
struct multi_attr {
	__u32 prog_fd;
	__u32 target_fd;
	__u32 attach_type;
	__u32 flags;
	__aligned_u64 path;
	__aligned_u64 offsets;
	__aligned_u64 ref_ctr_offsets;
	__aligned_u64 cookies;
	__u32 cnt;
	__u32 multi_flags;
	__u32 pid;
	__u32 pad;
};

static int link_create(void *ctx)
{
	long fd = syscall(SYS_bpf, BPF_LINK_CREATE, ctx, sizeof(struct multi_attr));

	return fd < 0 ? -errno : (int)fd;
}

int bs_multi_attach(int prog_fd, const char *path, const struct bs_probe *probes, size_t n, int *fd)
{
	struct multi_attr attr = {0};
	unsigned long *offsets, *refs;
	__u64 *cookies;
	int ret = 0;

	*fd = -1;
	offsets = calloc(n, sizeof(*offsets));
	refs = calloc(n, sizeof(*refs));
	cookies = calloc(n, sizeof(*cookies));
	if (!offsets || !refs || !cookies) {
		ret = -ENOMEM;
		goto out;
	}
	for (size_t i = 0; i < n; i++) {
		offsets[i] = probes[i].offset;
		refs[i] = probes[i].ref_ctr;
		cookies[i] = BS_COOKIE_SITE | probes[i].cookie;
	}
	attr.prog_fd = (__u32)prog_fd;
	attr.attach_type = BS_ATTACH_UPROBE_MULTI;
	attr.path = (uintptr_t)path;
	attr.offsets = (uintptr_t)offsets;
	attr.ref_ctr_offsets = (uintptr_t)refs;
	attr.cookies = (uintptr_t)cookies;
	attr.cnt = (__u32)n;
	/*
	 * pid stays 0, every process: the kernel's own filter compares the wrong task up to 6.9
	 * and delivers nothing for a process whose first thread is dead.
	 */
	ret = bs_shielded(link_create, &attr);
	if (ret >= 0) {
		*fd = ret;
		ret = 0;
	}
out:
	free(offsets);
	free(refs);
	free(cookies);
	return ret;
}
