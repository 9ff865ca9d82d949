#include "ebpf/ebpf.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <linux/if_link.h>

static __thread char *words;

static int words_keep(enum libbpf_print_level level, const char *format, va_list args)
{
	if (level == LIBBPF_WARN && words && !words[0]) {
		vsnprintf(words, EBPF_WHY_OCTETS, format, args);
		words[strcspn(words, "\n")] = '\0';
	}
	return 0;
}

void ebpf_listen(char *why)
{
	words = why;
	libbpf_set_print(words_keep);
}

static int link_make(int program, uint32_t ifindex, unsigned flags)
{
	LIBBPF_OPTS(bpf_link_create_opts, options, .flags = flags);

	return bpf_link_create(program, (int)ifindex, BPF_XDP, &options);
}

int ebpf_attach(int program, uint32_t ifindex, enum ebpf_attach *how)
{
	const enum ebpf_attach wanted = *how;
	int link = -EOPNOTSUPP;

	*how = EBPF_NATIVE;
	if (wanted != EBPF_GENERIC)
		link = link_make(program, ifindex, XDP_FLAGS_DRV_MODE);
	if (link < 0 && link != -EBUSY && wanted != EBPF_NATIVE) {
		*how = EBPF_GENERIC;
		link = link_make(program, ifindex, XDP_FLAGS_SKB_MODE);
	}
	return link;
}

int ebpf_try(int program, struct ebpf_trial *trial)
{
	LIBBPF_OPTS(bpf_test_run_opts, run, .data_in = trial->frame, .data_size_in = (uint32_t)trial->octets,
		    .data_out = trial->out, .data_size_out = (uint32_t)trial->room, .repeat = 1);
	const int err = bpf_prog_test_run_opts(program, &run);

	trial->out_octets = run.data_size_out;
	return err ? err : (int)run.retval;
}
