/* What the commands of cidlbctl are given besides their arguments, and what they exit with. */
#ifndef CIDLB_CTL_OPTIONS_H
#define CIDLB_CTL_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>

/* Of the process. If it is not CTL_OK, the command has said why on stderr. */
enum ctl_exit {
	CTL_OK = 0,
	CTL_REFUSED = 1,
	CTL_USAGE = 2,
	CTL_TIMEOUT = 3,
	CTL_UNKEPT = 4, /* it is in force, and would not outlive a restart */
};

/* Texts are NULL where the option was not given, except those with a default. */
struct ctl_options {
	const char *file;     /* --config; has a default */
	const char *socket;   /* --socket; has a default */
	const char *cid;      /* --cid */
	const char *from;     /* --from */
	const char *limit;    /* --limit */
	const char *sort;     /* --sort */
	const char *older;    /* --older */
	const char *duration; /* --for */
	const char *pcap;     /* --pcap */
	const char *timeout;  /* --timeout */
	const char *listener; /* --listener */
	const char *pool;     /* --pool */
	const char *rotation; /* --rotation */
	const char *count;    /* --count */
	bool down;            /* --down */
	bool follow;          /* --follow */
	bool wait;            /* --wait */
	bool json;
	bool version;
	bool help;
};

/* In the order of the help. A command takes a set of them: 1 << number. */
enum ctl_option_number {
	CTL_CID,
	CTL_FROM,
	CTL_LIMIT,
	CTL_SORT,
	CTL_OLDER,
	CTL_DOWN,
	CTL_FOLLOW,
	CTL_FOR,
	CTL_PCAP,
	CTL_WAIT,
	CTL_TIMEOUT_OPTION,
	CTL_LISTENER,
	CTL_POOL,
	CTL_ROTATION,
	CTL_COUNT,
	CTL_CONFIG,
	CTL_SOCKET,
	CTL_JSON,
	CTL_VERSION,
	CTL_HELP,
	CTL_OPTIONS,
};

struct ctl_option {
	const char *name;     /* "--from" */
	char letter;          /* 'c'; 0: it has none */
	const char *argument; /* "IP[:PORT]"; NULL: it takes none */
	const char *help;
	size_t at; /* in struct ctl_options: a text if it takes an argument, else a bool */
};
extern const struct ctl_option ctl_options[CTL_OPTIONS];

/* Of those that not every command may be given: the set of those that were. */
unsigned ctl_options_given(const struct ctl_options *options);

/* Sets the option `number`; `text` is its argument, if it takes one. */
void ctl_options_set(struct ctl_options *options, enum ctl_option_number number, const char *text);

/* What a command runs. `words` begin with its name as the user knows it, or the last word of that. Its arguments
 * follow, as many as its row in command_table.c says, and NULL. */
typedef enum ctl_exit (*ctl_run)(char **words, const struct ctl_options *options);

#endif
