#include "start/status.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "common/plural.h"
#include "control/apply.h"
#include "control/control.h"
#include "control/ready.h"
#include "control/view.h"

struct line {
	char *text;
	size_t len;
};

static __attribute__((format(printf, 2, 3))) void add(struct line *line, const char *format, ...)
{
	const size_t room = STATUS_OCTETS - line->len;
	va_list args;
	int len;

	va_start(args, format);
	len = vsnprintf(line->text + line->len, room, format, args);
	va_end(args);
	if (len > 0)
		line->len += (size_t)len < room ? (size_t)len : room - 1;
}

static void add_servers(struct line *line, struct control *control)
{
	const size_t count = view_backend_count(control);
	size_t up = 0, drain = 0, maint = 0;

	for (size_t i = 0; i < count; i++) {
		struct view_backend backend;

		view_backend(control, i, &backend);
		up += backend_state_health(&backend.state) == BACKEND_UP && !addr_is_wildcard(&backend.addr);
		drain += backend_state_admin(&backend.state) == BACKEND_DRAIN;
		maint += backend_state_admin(&backend.state) == BACKEND_MAINT;
	}
	add(line, "%zu of %zu server%s up", up, count, PLURAL(count));
	if (drain > 0)
		add(line, ", %zu draining", drain);
	if (maint > 0)
		add(line, ", %zu in maint", maint);
}

/* One line, of what may have been written by others. */
static void add_words(struct line *line, const char *words)
{
	const size_t begin = line->len;

	add(line, "%s", words);
	for (size_t i = begin; i < line->len; i++)
		if ((unsigned char)line->text[i] < ' ')
			line->text[i] = ' ';
}

void status_write(char out[static STATUS_OCTETS], struct control *control)
{
	const struct conf *conf = control_conf(control);
	struct line line = { out, 0 };
	char why[READY_WHY_OCTETS];

	add(&line, "serves %zu listener%s, %zu pool%s: ", conf->listener_count, PLURAL(conf->listener_count),
	    conf->pool_count, PLURAL(conf->pool_count));
	add_servers(&line, control);
	if (ready_has_left(control))
		add(&line, "; left: devices are to go to other nodes, until `cidlbctl join`");
	else if (!ready_is(control, why))
		add(&line, "; not ready: %s", why);
	if (*apply_refusal(control)) {
		add(&line, "; the last reload was refused: ");
		add_words(&line, apply_refusal(control));
	}
}
