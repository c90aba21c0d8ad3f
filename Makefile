# SPDX-License-Identifier: GPL-2.0-only
# bscope: who owns what in a running program.  `make help` lists the targets.

VERSION   := 0.1.0
SOVERSION := 0

# What a packager sets.
DESTDIR    ?=
prefix     ?= /usr/local
bindir     ?= $(prefix)/bin
includedir ?= $(prefix)/include
libdir     ?= $(prefix)/lib
mandir     ?= $(prefix)/share/man
docdir     ?= $(prefix)/share/doc/bscope
datadir    ?= $(prefix)/share/bscope
CLANG      ?= clang
PKG_CONFIG ?= pkg-config
BPFTOOL    ?= $(firstword $(wildcard /usr/sbin/bpftool /usr/local/sbin/bpftool) bpftool)
CFLAGS     ?= -O2 -g
# WERROR=1 makes warnings errors (CI).
WERROR     ?=
V          ?=

B := build
Q := $(if $(V),,@)
say = $(if $(V),@:,@printf '  %-8s %s\n' '$(1)' '$(2)')

ARCH := $(shell uname -m)
BPF_ARCH := $(patsubst x86_64,x86,$(patsubst aarch64,arm64,$(ARCH)))
MULTIARCH := $(shell $(CC) -print-multiarch 2>/dev/null)

WARN := -Wall -Wextra -Wshadow -Wundef -Wvla -Wstrict-prototypes -Wmissing-prototypes \
	$(if $(WERROR),-Werror)
WARN_CXX := $(filter-out -Wstrict-prototypes -Wmissing-prototypes,$(WARN))
INC := -Iinclude -I. -Itools
# $(EXTRA) is for sanitizers and coverage: it reaches every compilation and link of our own code.
EXTRA ?=
ALL_CFLAGS = -std=gnu11 $(WARN) $(INC) -MMD -MP $(CFLAGS) $(EXTRA)

.DELETE_ON_ERROR:
# `make -j clean all` must not remove what it is just building.
ifneq ($(filter clean,$(MAKECMDGOALS)),)
.NOTPARALLEL:
endif
.SUFFIXES:
.SECONDARY:

all: runtime tools ## the runtime, the preload library, bscope-trace and bscope-flame

# --- runtime: what runs inside the program; see runtime/record.c -------------------------------

RUNTIME_FLAGS := -fPIC -fvisibility=hidden -fno-lto -fno-stack-protector \
	$(if $(filter x86_64,$(ARCH)),-mgeneral-regs-only)
RUNTIME_SRC := $(wildcard runtime/*.c)
RUNTIME_OBJ := $(RUNTIME_SRC:%.c=$B/%.o)
PRELOAD_malloc := malloc.o real.o
PRELOAD_lock   := lock.o next.o
PRELOAD_fd     := fd.o fd_new.o next.o
PRELOAD_OBJ    := $(addprefix $B/runtime/preload/,$(sort $(PRELOAD_malloc) $(PRELOAD_lock) $(PRELOAD_fd)))

LIBBSCOPE_SO := $B/libbscope.so.$(SOVERSION)
LIBBSCOPE_A  := $B/libbscope.a
# One library for each choice of functions: it has one runtime, so threads have one buffer, and what
# was not asked for is not there and changes nothing.
PRELOAD_SETS := malloc lock fd malloc-lock malloc-fd lock-fd malloc-lock-fd
preload_so    = libbscope-preload$(patsubst -malloc,,-$1).so
PRELOAD_SO   := $(foreach s,$(PRELOAD_SETS),$B/$(call preload_so,$s))

runtime: $(LIBBSCOPE_SO) $(LIBBSCOPE_A) $(PRELOAD_SO) $B/bscope.pc

# The runtime and the preload library keep their own flags: a sanitizer inside them would be
# code on the probe path.
$B/runtime/%.o: runtime/%.c
	$(call say,CC,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) -std=gnu11 $(WARN) $(INC) -MMD -MP $(CFLAGS) $(RUNTIME_FLAGS) -c -o $@ $<

$(LIBBSCOPE_SO): $(RUNTIME_OBJ) runtime/libbscope.map
	$(call say,LD,$@)
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) -shared -fno-lto -Wl,-soname,libbscope.so.$(SOVERSION) \
		-Wl,--version-script=runtime/libbscope.map -Wl,-z,defs -Wl,-z,now -o $@ $(RUNTIME_OBJ)
	$(Q)ln -sf libbscope.so.$(SOVERSION) $B/libbscope.so

$(LIBBSCOPE_A): $(RUNTIME_OBJ)
	$(call say,AR,$@)
	$(Q)rm -f $@ && $(AR) rcs $@ $^

# The functions are these themselves: the compiler must not assume what they do.
$(PRELOAD_OBJ): RUNTIME_FLAGS += -fno-builtin -U_FORTIFY_SOURCE
# A stack is walked from the site in such a function to whoever called it.
$(PRELOAD_OBJ): RUNTIME_FLAGS += -fno-omit-frame-pointer
# A routine of pthread_once may be left by an exception.
$B/runtime/preload/lock.o: RUNTIME_FLAGS += -fexceptions

# The names that each set exports, in one list without a version (see malloc.map).
define preload_library
$B/$(call preload_so,$1): $(foreach s,$(subst -, ,$1),$(addprefix $B/runtime/preload/,$(PRELOAD_$s)) \
		runtime/preload/$s.map) $(RUNTIME_OBJ)
endef
$(foreach s,$(PRELOAD_SETS),$(eval $(call preload_library,$s)))
$(PRELOAD_SO):
	$(call say,LD,$@)
	$(Q){ echo '{ global:'; sed -n 's/^\t\([a-z].*;\|_.*;\)/\1/p' $(filter %.map,$^); echo 'local: *; };'; } \
		> $B/runtime/preload/$(@F).map
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) -shared -fno-lto -Wl,-soname,$(@F) \
		-Wl,--version-script=$B/runtime/preload/$(@F).map -Wl,-z,defs -Wl,-z,now \
		-o $@ $(filter %.o,$^) -ldl

# What is written into files: another prefix for `make install` than for `make` makes them again.
$B/paths: FORCE
	@mkdir -p $(@D)
	@echo '$(VERSION) $(prefix) $(includedir) $(libdir)' | cmp -s - $@ || \
		echo '$(VERSION) $(prefix) $(includedir) $(libdir)' > $@

$B/bscope.pc: runtime/bscope.pc.in Makefile $B/paths
	@mkdir -p $(@D)
	$(Q)sed -e 's|@prefix@|$(prefix)|; s|@includedir@|$(includedir)|; s|@libdir@|$(libdir)|' \
		-e 's|@VERSION@|$(VERSION)|' $< > $@

# --- bpf ---------------------------------------------------------------------------------------

BPF_SRC  := $(wildcard bpf/*.bpf.c)
BPF_SKEL := $(BPF_SRC:bpf/%.bpf.c=$B/bpf/%.skel.h)

$B/bpf/%.bpf.o: bpf/%.bpf.c
	$(call say,BPF,$@)
	@mkdir -p $(@D)
	$(Q)$(CLANG) -g -O2 -target bpf -D__TARGET_ARCH_$(BPF_ARCH) -Wall -Wextra $(if $(WERROR),-Werror) \
		-Ivmlinux -Iinclude -I. $(if $(MULTIARCH),-I/usr/include/$(MULTIARCH)) -MMD -MP -MT $@ \
		-c $< -o $@

$B/bpf/%.skel.h: $B/bpf/%.bpf.o
	$(call say,SKEL,$@)
	$(Q)$(BPFTOOL) gen skeleton $< name $*_bpf > $@

# --- tools: every stage but the mains in one private archive --------------------------------

TOOL_MAINS := tools/bscope-trace/main.c tools/bscope-flame/main.c
TOOLS_SRC  := $(filter-out $(TOOL_MAINS),$(wildcard tools/*/*.c))
TOOLS_OBJ  := $(TOOLS_SRC:%.c=$B/%.o)
TOOLS_A    := $B/libbscope-tools.a
BINS       := $B/bscope-trace $B/bscope-flame
STATIC     := $(BINS:%=%.static)
TOOLS_LIBS = $(shell $(PKG_CONFIG) --libs libbpf libdw libelf zlib libseccomp) -liberty -lm
TOOLS_LIBS_STATIC = $(shell $(PKG_CONFIG) --static --libs libbpf libdw libelf zlib libseccomp) -liberty -lm

tools: $(BINS)

# libbpf's header and the skeletons are for collect alone; that keeps the other stages honest.
$B/tools/collect/%.o: ALL_CFLAGS += -I$B/bpf
$(filter $B/tools/collect/%,$(TOOLS_OBJ)): $(BPF_SKEL)

$(filter $B/tools/bscope-trace/%,$(TOOLS_OBJ)): $B/paths

# What a flamegraph carries in itself, as string literals; no trigraphs.
FLAME_TEXT := $(addprefix $B/tools/flame/,flame.css.h sides.css.h flame.js.h)
$(FLAME_TEXT): $B/tools/flame/%.h: tools/flame/%
	$(call say,TEXT,$@)
	@mkdir -p $(@D)
	$(Q)sed -e 's/\\/&&/g; s/"/\\"/g; s/?/\\?/g; s/.*/"&\\n"/' $< > $@

$B/tools/flame/%.o: ALL_CFLAGS += -I$B
$B/tools/flame/flame_svg.o: $(FLAME_TEXT)

$B/tools/%.o: tools/%.c
	$(call say,CC,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) $(ALL_CFLAGS) -DBSCOPE_VERSION='"$(VERSION)"' -DBSCOPE_LIBDIR='"$(libdir)"' -c -o $@ $<

# With a runtime of its own: the tool measures on itself what an event costs.
$(TOOLS_A): $(TOOLS_OBJ) $(RUNTIME_OBJ)
	$(call say,AR,$@)
	$(Q)rm -f $@ && $(AR) rcs $@ $^

$(BINS): $B/bscope-%: $B/tools/bscope-%/main.o $(TOOLS_A)
	$(call say,LD,$@)
	$(Q)$(CC) $(CFLAGS) $(EXTRA) $(LDFLAGS) -o $@ $^ $(TOOLS_LIBS)

static: $(STATIC) ## static binaries for hosts without compilers
$(STATIC): $B/bscope-%.static: $B/tools/bscope-%/main.o $(TOOLS_A)
	$(call say,LD,$@)
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) -static -o $@ $^ $(TOOLS_LIBS_STATIC)

# --- tests, benches, checks ----------------------------------------------------------------------

include tests/tests.mk
-include bench/bench.mk
-include bench/throughput.mk
-include bench/sampling.mk

setup-%: ## install what is missing for build, demo, check or lint
	$(Q)sh tests/setup.sh $*

# A second make, because what setup installs changes what the first one found (pkg-config, the
# compiler's name of the machine).
demo: setup-demo ## install what is missing, build, trace redis-server and a leaking daemon
	$(Q)$(MAKE) --no-print-directory all $B/tests/programs/leaky $B/tests/programs/leaky-plain
	$(Q)BUILD=$B sh tests/demo.sh

check: setup-check ## install what is missing, build, run all tests
	$(Q)$(MAKE) --no-print-directory check-run

PROVE = prove --merge --timer --failures --comments -e ''
# What perf events need of the kernel is looked at once: see the script.
TEST_ENV = BSCOPE_TRACE_EVENTS=$$(sh tests/trace-events.sh) BUILD=$B CMOCKA_MESSAGE_OUTPUT=TAP CC='$(CC)' CLANG='$(CLANG)'
E2E := $(wildcard tests/e2e/*.bats)

check-run: all static unit programs bench-programs $(FUZZ_REPLAY)
	$(Q)$(TEST_ENV) $(PROVE) $(UNIT_BIN) $(FUZZ_REPLAY) $(E2E)

check-bpf: all unit programs ## the tests that need BPF
	$(Q)$(TEST_ENV) BSCOPE_REQUIRE_BPF=1 $(PROVE) $(filter $B/tests/unit/test_collect%,$(UNIT_BIN)) \
		$(filter-out tests/e2e/proof.bats tests/e2e/schema.bats,$(E2E))

check-kernels: setup-kernels ## the same binary on other kernels, under emulation
	$(Q)$(MAKE) --no-print-directory static $(KERNEL_PROGRAMS)
	$(Q)BUILD=$B sh tests/kernels/run.sh

check-bare-root: ## the README's commands on a Debian machine with make and git alone
	$(Q)sh tests/bare-root.sh

# Sanitizers get a build of their own.
asan: ## unit tests under AddressSanitizer and UndefinedBehaviorSanitizer
	$(Q)$(MAKE) --no-print-directory B=$B/asan CFLAGS='-O1 -g -fno-omit-frame-pointer' \
		EXTRA='-fsanitize=address,undefined -fno-sanitize-recover=all' unit-run

tsan: ## unit tests under ThreadSanitizer
	$(Q)$(MAKE) --no-print-directory B=$B/tsan CFLAGS='-O1 -g' EXTRA='-fsanitize=thread' unit-run

unit-run: unit
	$(Q)$(TEST_ENV) $(PROVE) $(UNIT_BIN)

C_FILES = $(shell git ls-files '*.c' '*.h' 2>/dev/null | grep -v '^tests/proof/')
# clang-tidy and -fanalyzer advise: much of what they say here is wrong.  The others must be silent.
# Not what wants memcpy_s for memcpy, nor what takes every va_list for uninitialised.
TIDY := -clang-analyzer-security.insecureAPI.DeprecatedOrUnsafeBufferHandling,-clang-analyzer-valist.Uninitialized
# In uthash's macros -fanalyzer finds more paths than it can follow: these two take more than ten minutes.
$B/tools/model/ties.o $B/tools/model/lockcycle.o: override EXTRA := $(filter-out -fanalyzer,$(EXTRA))
lint: setup-lint bpf-skeletons $(FLAME_TEXT) ## clang-tidy, cppcheck, gcc -fanalyzer, shellcheck, mandoc
	$(Q)clang-tidy --quiet --checks='$(TIDY)' $(filter-out %.bpf.c,$(filter %.c,$(filter tools/% runtime/%,$(C_FILES)))) -- \
		-std=gnu11 $(INC) -I$B -I$B/bpf -DBSCOPE_VERSION='""' -DBSCOPE_LIBDIR='""'
	$(Q)cppcheck --quiet --error-exitcode=1 --inline-suppr --std=c11 --enable=warning,portability \
		--suppress=missingIncludeSystem --include=/usr/include/uthash.h -D__BYTE_ORDER__=1234 -D__ORDER_LITTLE_ENDIAN__=1234 \
		-D__ORDER_BIG_ENDIAN__=4321 -D__SIZEOF_POINTER__=8 -D__x86_64__ $(INC) -I$B -DBSCOPE_VERSION='""' -DBSCOPE_LIBDIR='""' tools runtime
	$(Q)$(MAKE) --no-print-directory B=$B/analyzer CC=gcc WERROR= EXTRA=-fanalyzer $B/analyzer/libbscope-tools.a
	$(Q)shellcheck $$(git ls-files '*.sh' .ci/run)
	$(Q)mandoc -T lint -W warning $(MAN)

bpf-skeletons: $(BPF_SKEL)

format: ## clang-format everything
	$(Q)clang-format -i $(C_FILES)

format-check: ## whether clang-format would change anything
	$(Q)clang-format --dry-run -Werror $(C_FILES)

# --- manuals, installation -----------------------------------------------------------------------

MAN := tools/bscope-trace/bscope-trace.1 tools/bscope-flame/bscope-flame.1 include/bscope/bscope.3

man: $(MAN:%=$B/%.txt) ## the manuals as text, under build/
$B/%.txt: %
	@mkdir -p $(@D)
	$(Q)mandoc -T utf8 $< | col -b > $@

# mode:file:destination; install and uninstall both work from this list.
INSTALL = \
	755:$B/bscope-trace:$(bindir)/bscope-trace \
	755:$B/bscope-flame:$(bindir)/bscope-flame \
	755:$(LIBBSCOPE_SO):$(libdir)/libbscope.so.$(SOVERSION) \
	link:libbscope.so.$(SOVERSION):$(libdir)/libbscope.so \
	644:$(LIBBSCOPE_A):$(libdir)/libbscope.a \
	$(foreach l,$(PRELOAD_SO),755:$l:$(libdir)/$(notdir $l)) \
	644:$B/bscope.pc:$(libdir)/pkgconfig/bscope.pc \
	644:include/bscope/bscope.h:$(includedir)/bscope/bscope.h \
	644:include/bscope/site.h:$(includedir)/bscope/site.h \
	644:include/bscope/abi.h:$(includedir)/bscope/abi.h \
	644:include/bscope/control.h:$(includedir)/bscope/control.h \
	644:include/bscope/buffer.h:$(includedir)/bscope/buffer.h \
	644:tools/render/bscope-report-1.schema.json:$(datadir)/bscope-report-1.schema.json \
	644:tools/render/bscope-sites-1.schema.json:$(datadir)/bscope-sites-1.schema.json \
	644:tools/bscope-trace/bscope-trace.1:$(mandir)/man1/bscope-trace.1 \
	644:tools/bscope-flame/bscope-flame.1:$(mandir)/man1/bscope-flame.1 \
	644:include/bscope/bscope.3:$(mandir)/man3/bscope.3 \
	644:LICENSE:$(docdir)/LICENSE \
	644:LICENSES/MIT.txt:$(docdir)/LICENSES/MIT.txt \
	644:LICENSES/GPL-2.0-only.txt:$(docdir)/LICENSES/GPL-2.0-only.txt \
	644:README.md:$(docdir)/README.md \
	644:CHANGELOG.md:$(docdir)/CHANGELOG.md

install: all ## to DESTDIR, prefix, libdir, ...
	$(Q)for i in $(INSTALL); do \
		mode=$${i%%:*}; rest=$${i#*:}; from=$${rest%%:*}; to=$(DESTDIR)$${rest#*:}; \
		mkdir -p "$${to%/*}" || exit 1; \
		if [ $$mode = link ]; then ln -sf "$$from" "$$to"; \
		else install -m $$mode "$$from" "$$to"; fi || exit 1; \
	done

uninstall: ## what install put there
	$(Q)for i in $(INSTALL); do rm -f "$(DESTDIR)$${i##*:}"; done
	$(Q)rmdir "$(DESTDIR)$(includedir)/bscope" "$(DESTDIR)$(datadir)" \
		"$(DESTDIR)$(docdir)/LICENSES" "$(DESTDIR)$(docdir)" \
		2>/dev/null || true

clean: ## remove the build folder
	$(Q)rm -rf $B

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+%?:.*## / { printf "  %-16s %s\n", $$1, $$2 }' Makefile $(wildcard bench/*.mk tests/fuzz/*.mk)

.PHONY: all runtime tools static demo FORCE check check-run check-bpf check-kernels check-bare-root asan tsan unit-run lint \
	bpf-skeletons format format-check man install uninstall clean help
# Not of the foreign machines that tests keep there.
-include $(shell find $B \( -name bare-root -o -path $B/kernels \) -prune -o -type f -name '*.d' -print \
	2>/dev/null)
