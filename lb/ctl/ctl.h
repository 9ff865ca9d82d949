/* The commands of cidlbctl. Each prints its answer, or a sentence on stderr, and returns the exit status. */
#ifndef CIDLB_CTL_H
#define CIDLB_CTL_H

#include <stdbool.h>

enum ctl_exit { CTL_OK = 0, CTL_REFUSED = 1, CTL_USAGE = 2 };

struct ctl_options {
	const char *file;     /* -c */
	const char *from;     /* --from; may be NULL */
	const char *cid;      /* --cid; may be NULL */
	const char *limit;    /* --limit; may be NULL */
	const char *listener; /* --listener; may be NULL */
	const char *socket;   /* --socket */
	const char *duration; /* --for; may be NULL */
	const char *pcap;     /* --pcap; may be NULL */
	const char *pool;     /* --pool; may be NULL */
	const char *rotation; /* --rotation; may be NULL */
	const char *count;    /* --count; may be NULL */
	bool json;
};

struct conf;

/* The configuration; NULL: its mistakes were printed. */
struct conf *ctl_load(const char *file);

/* Mints or opens CIDs off-line. argv: "cid", then "mint", a pool, and a backend or server id; or "open" and a CID in
 * hex. */
enum ctl_exit ctl_cid(int argc, char **argv, const struct ctl_options *options);

/* Explains one datagram off-line. `hex` "-": from stdin. */
enum ctl_exit ctl_route(const char *hex, const struct ctl_options *options);

/* Asks the running cidlb. argv: the command, then a backend's name and a weight where it takes them; cid, from and
 * limit are for flows. */
enum ctl_exit ctl_live(int argc, char **argv, const struct ctl_options *options);

/* Shows the datagrams of the session `cid` as they pass. */
enum ctl_exit ctl_trace(const struct ctl_options *options);

#endif
