/* Reads the configuration file again while cidlb runs. Control thread. */
#ifndef CIDLB_CONTROL_RELOAD_H
#define CIDLB_CONTROL_RELOAD_H

#include "conf/conf.h"

struct control;

/* What there is to say about the file, for whoever asked. The caller frees it with reload_report_free(). */
struct reload_report {
	struct conf_report of_file;
};

/* Reads conf->file again and applies it. Fills `report` and logs it. 0, or -errno: the running configuration stays as
 * it was. */
int reload(struct control *control, struct reload_report *report);
void reload_report_free(struct reload_report *report);

/* Logs which pools run without a table, and how. */
void reload_log_stateless(const struct conf *conf);

#endif
