# SPDX-License-Identifier: GPL-2.0-only
# Programs that run under the preload library.

PRELOAD_T := $B/tests/programs/preload
PRELOAD_PROGS := $(addprefix $(PRELOAD_T)/,family family-nested jumps-nested family-jemalloc strings containers \
	failures failures-jemalloc early forks forks-jemalloc vforks held plugins plugin.so own_malloc static \
	lock_calls lock_orders lock_once fd_calls fd_calls-fortified fd_wrong)
PRELOAD_FLAGS := -fno-builtin -pthread

preload-programs: $(PRELOAD_PROGS)
programs: preload-programs
.PHONY: preload-programs

$(PRELOAD_T)/%: tests/programs/preload/%.c tests/programs/preload/tally.h
	$(call say,CC,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) -std=gnu11 $(WARN) $(CFLAGS) $(PRELOAD_FLAGS) -o $@ $< -ldl

$(PRELOAD_T)/%: tests/programs/preload/%.cpp tests/programs/preload/tally.h
	$(call say,CXX,$@)
	@mkdir -p $(@D)
	$(Q)$(CXX) -std=c++17 -Wall -Wextra $(if $(WERROR),-Werror) $(CFLAGS) $(PRELOAD_FLAGS) -o $@ $<

# The allocator that debian's redis-server brings; its package has no development files.
$(PRELOAD_T)/%-jemalloc: tests/programs/preload/%.c tests/programs/preload/tally.h
	$(call say,CC,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) -std=gnu11 $(WARN) $(CFLAGS) $(PRELOAD_FLAGS) -o $@ $< \
		-Wl,--no-as-needed -l:libjemalloc.so.2

$(PRELOAD_T)/libnested.so: tests/programs/preload/nested_lib.c
	$(call say,LD,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) -std=gnu11 $(filter-out -Wmissing-prototypes,$(WARN)) $(CFLAGS) $(PRELOAD_FLAGS) \
		-fPIC -shared -Wl,-soname,libnested.so -o $@ $<

$(PRELOAD_T)/%-nested: tests/programs/preload/%.c $(PRELOAD_T)/libnested.so
	$(call say,CC,$@)
	$(Q)$(CC) -std=gnu11 $(WARN) $(CFLAGS) $(PRELOAD_FLAGS) -o $@ $< \
		-Wl,--no-as-needed $(PRELOAD_T)/libnested.so -Wl,-rpath,'$$ORIGIN'

# Bound at once and without a PLT, so that its resolver can call malloc while it is relocated.
$(PRELOAD_T)/libearly.so: tests/programs/preload/early_lib.c
	$(call say,LD,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) -std=gnu11 $(WARN) $(CFLAGS) $(PRELOAD_FLAGS) -fno-plt -fPIC -shared \
		-Wl,-z,now -Wl,-soname,libearly.so -o $@ $<

$(PRELOAD_T)/early: tests/programs/preload/early.c $(PRELOAD_T)/libearly.so
	$(call say,CC,$@)
	$(Q)$(CC) -std=gnu11 $(WARN) $(CFLAGS) $(PRELOAD_FLAGS) -o $@ $< $(PRELOAD_T)/libearly.so \
		-Wl,-rpath,'$$ORIGIN'

# Calls whose flags are not constant become __open_2 and the like.
$(PRELOAD_T)/%-fortified: tests/programs/preload/%.c
	$(call say,CC,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) -std=gnu11 $(WARN) $(filter-out -O%,$(CFLAGS)) -O2 -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2 \
		-pthread -o $@ $<

$(PRELOAD_T)/plugin.so: tests/programs/preload/plugin.c
	$(call say,LD,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) -std=gnu11 $(WARN) $(CFLAGS) $(PRELOAD_FLAGS) -fPIC -shared -o $@ $<

$(PRELOAD_T)/static: tests/programs/preload/strings.c tests/programs/preload/tally.h
	$(call say,CC,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) -std=gnu11 $(WARN) $(CFLAGS) $(PRELOAD_FLAGS) -static -o $@ $<
