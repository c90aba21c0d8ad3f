# SPDX-License-Identifier: GPL-2.0-only
# Benches: each prints what it measured and against what; none is a test.

$B/bench/%.bpf.o: bench/%.bpf.c
	$(call say,BPF,$@)
	@mkdir -p $(@D)
	$(Q)$(CLANG) -g -O2 -target bpf -D__TARGET_ARCH_$(BPF_ARCH) -Wall -Wextra $(if $(WERROR),-Werror) \
		-Ivmlinux -Iinclude -I. $(if $(MULTIARCH),-I/usr/include/$(MULTIARCH)) -MMD -MP -MT $@ \
		-c $< -o $@

$B/bench/%.skel.h: $B/bench/%.bpf.o
	$(call say,SKEL,$@)
	$(Q)$(BPFTOOL) gen skeleton $< name $*_bpf > $@

$B/bench/hit_cost: $B/bench/hit_cost_empty.skel.h
$B/bench/hit_cost $B/bench/attach: $B/bench/%: bench/%.c $(TOOLS_A)
	$(call say,CC,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) $(ALL_CFLAGS) -I$B/bench -MT $@ -o $@ $< $(TOOLS_A) $(TOOLS_LIBS) -lm

# What a hit costs against an empty program on the same uprobe; lighting 2,000 sites.
bench-hit-cost: $B/bench/hit_cost
	$<
bench-attach: $B/bench/attach
	$<
.PHONY: bench-hit-cost bench-attach
