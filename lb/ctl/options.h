/* What the commands of cidlbctl are given besides their arguments, and what they exit with. */
#ifndef CIDLB_CTL_OPTIONS_H
#define CIDLB_CTL_OPTIONS_H

#include <stdbool.h>

/* Of the process. If it is not CTL_OK, the command has said why on stderr. */
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

/* What a command runs. `words` begin with its name as the user knows it, or the last word of that. Its arguments
 * follow, as many as its row in commands.c says, and NULL. */
typedef enum ctl_exit (*ctl_run)(char **words, const struct ctl_options *options);

#endif
