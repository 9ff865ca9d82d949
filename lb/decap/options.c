#include "decap/options.h"

#include <errno.h>
#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

const char decap_help[] =
	"usage: cidlb-decap INTERFACE --address IP[,IP...] --nodes IP[,IP...] [--attach auto|native|generic]\n"
	"\n"
	"On a server of cidlb's mode dsr with encap = \"ipip\": takes packets out of packets, in place of the "
	"kernel's\n"
	"module ipip or ip6_tunnel. IPv4 in IPv4, IPv6 in IPv6, UDP in them. All else passes up unchanged.\n"
	"\n"
	"  INTERFACE             that they come in through\n"
	"  --address IP[,IP...]  this server's own addresses, as cidlb's configuration has them: at most 64\n"
	"  --nodes IP[,IP...]    addresses that cidlb's nodes send from: at most 64\n"
	"  --attach HOW          native: by the driver; generic: by the kernel, after it; auto: the first, if it can\n"
	"  -h, --help            this text\n"
	"  -V, --version         the version\n"
	"\n"
	"It works while this command runs, and takes root, or CAP_BPF, CAP_NET_ADMIN and CAP_PERFMON. SIGUSR1 has it "
	"say\n"
	"what it has counted. SIGTERM and SIGINT end it.\n";

static int __attribute__((format(printf, 2, 3))) complain(char *mistake, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(mistake, DECAP_MISTAKE_OCTETS, format, arguments);
	va_end(arguments);
	return -EINVAL;
}

/* IP,IP,... */
static int read_addrs(struct decap_addrs *out, const char *option, const char *text, char *mistake)
{
	char one[ADDR_TEXT_OCTETS];

	for (;; text++) {
		const size_t len = strcspn(text, ",");

		if (out->count == DECAP_ADDRESSES)
			return complain(mistake, "%s: more than %d addresses", option, DECAP_ADDRESSES);
		if (len < sizeof one) {
			memcpy(one, text, len);
			one[len] = '\0';
		}
		struct addr *addr = &out->at[out->count];
		if (len >= sizeof one || addr_parse_ip(addr, one) != 0 || !addr_is_unicast(addr) ||
		    addr_is_of_link(addr->ip))
			return complain(mistake, "%s: \"%.*s\" is not the IP address of a host", option,
					(int)(len < 100 ? len : 100), text);
		out->count++;
		text += len;
		if (*text == '\0')
			return 0;
	}
}

static int read_attach(enum ebpf_attach *out, const char *text, char *mistake)
{
	static const char *const words[] = {
		[EBPF_AUTO] = "auto", [EBPF_NATIVE] = "native", [EBPF_GENERIC] = "generic"
	};

	for (size_t i = 0; i < sizeof words / sizeof *words; i++)
		if (strcmp(text, words[i]) == 0) {
			*out = (enum ebpf_attach)i;
			return 0;
		}
	return complain(mistake, "--attach: \"%.100s\" is unknown; accepted: auto, native, generic", text);
}

enum { ADDRESS = 256, NODES, ATTACH };

static int read_option(struct decap_options *out, int option, char *mistake)
{
	switch (option) {
	case ADDRESS:
		return read_addrs(&out->own, "--address", optarg, mistake);
	case NODES:
		return read_addrs(&out->nodes, "--nodes", optarg, mistake);
	case ATTACH:
		return read_attach(&out->attach, optarg, mistake);
	case 'h':
		out->task = DECAP_HELP;
		return 0;
	case 'V':
		out->task = DECAP_VERSION;
		return 0;
	default:
		return complain(mistake, "an option that is unknown, or lacks its value");
	}
}

int decap_options_read(struct decap_options *out, int argc, char *const argv[],
		       char mistake[static DECAP_MISTAKE_OCTETS])
{
	static const struct option options[] = {
		{ "address", required_argument, NULL, ADDRESS }, { "nodes", required_argument, NULL, NODES },
		{ "attach", required_argument, NULL, ATTACH },   { "help", no_argument, NULL, 'h' },
		{ "version", no_argument, NULL, 'V' },           { 0 }
	};
	int option, err = 0;

	*out = (struct decap_options){ 0 };
	optind = 0;
	opterr = 0;
	while (!err && (option = getopt_long(argc, argv, "hV", options, NULL)) != -1)
		err = read_option(out, option, mistake);
	if (err || out->task != DECAP_RUN)
		return err;
	if (optind != argc - 1)
		return complain(mistake, "one INTERFACE is needed");
	out->interface = argv[optind];
	if (out->own.count == 0)
		return complain(mistake, "--address is missing: this server's own address");
	if (out->nodes.count == 0)
		return complain(mistake, "--nodes is missing: the addresses that cidlb's nodes send from");
	return 0;
}
