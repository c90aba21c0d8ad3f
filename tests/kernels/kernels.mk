# SPDX-License-Identifier: GPL-2.0-only
# What runs inside the machines of tests/kernels/run.sh: static, there are no libraries.

KERNEL_PROGRAMS := $(addprefix $B/tests/kernels/,counted tangled)

$(KERNEL_PROGRAMS): $B/tests/kernels/%: tests/programs/%.c $(LIBBSCOPE_A)
	$(call say,CC,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) -std=gnu11 $(WARN) $(INC) -MMD -MP $(CFLAGS) -static -o $@ $< $(LIBBSCOPE_A) -lpthread
