# SPDX-License-Identifier: GPL-2.0-only
# What runs inside the machines of tests/kernels/run.sh: static, there are no libraries.

$B/tests/kernels/counted: tests/programs/counted.c $(LIBBSCOPE_A)
	$(call say,CC,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) -std=gnu11 $(WARN) $(INC) -MMD -MP $(CFLAGS) -static -o $@ $< $(LIBBSCOPE_A) -lpthread
