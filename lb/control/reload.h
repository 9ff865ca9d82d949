/* Reads the configuration file again while cidlb runs. Control thread. */
#ifndef CIDLB_CONTROL_RELOAD_H
#define CIDLB_CONTROL_RELOAD_H

#include <stdbool.h>

#include "conf/conf.h"

struct control;

enum { RELOAD_WAITS = 8, RELOAD_LINE_OCTETS = 256 };

/* What there is to say about the file and what became of it, for whoever asked. The caller frees it with
 * reload_report_free(). */
struct reload_report {
	struct conf_report of_file;
	char refusal[RELOAD_LINE_OCTETS]; /* why the file was not applied, besides its mistakes; "": it was */
	char waits[RELOAD_WAITS][RELOAD_LINE_OCTETS]; /* what of it only the next start takes on */
	size_t wait_count;
	/* What is another than before, as conf/difference.h has it. */
	char **changes;
	size_t change_count;
};

/* Reads conf->file again and applies it. Fills `report` and logs it. 0, or -errno: the running configuration stays as
 * it was. */
int reload(struct control *control, struct reload_report *report);
void reload_report_free(struct reload_report *report);

/* Logs which pools run without a table, and how. */
void reload_log_stateless(const struct conf *conf);

/* True if sockets have a smaller receive buffer than `conf` asks for. `text` then says so, and what mends it. */
bool reload_rcvbuf_is_short(char text[static RELOAD_LINE_OCTETS], const struct control *control,
			    const struct conf *conf);

#endif
