#include "ctl/drain.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <unistd.h>

#include <jansson.h>

#include "base/clock.h"
#include "ctl/live.h"
#include "ctl/live_backends.h"
#include "ctl/live_command.h"
#include "ctl/live_print.h"
#include "ctl/live_table.h"

enum {
	ANSWER_S = 10,
	LOOK_S = 5, /* at most, from one look to the next */
	AWAY_S = 30 /* so long cidlb may be away: then it knows nothing any more */
};

struct waiting {
	const struct ctl_options *options;
	json_t *request; /* for the server */
	json_t *first;   /* the answer to `drain` */
	int64_t end_s;   /* monotonic; 0: never */
	int64_t heard_s; /* monotonic: when cidlb last answered */
	bool unkept;     /* that it drains would not outlive a restart */
};

/* NULL: nobody answers. */
static json_t *look(struct waiting *waiting)
{
	FILE *stream = live_try_dial(waiting->options->socket, ANSWER_S);
	json_t *answer = stream ? live_ask(stream, waiting->request) : NULL;

	if (stream)
		fclose(stream);
	if (answer)
		waiting->heard_s = clock_s();
	return answer;
}

/* Says how it ended, with what is known of the server. */
static enum ctl_exit finish(struct waiting *waiting, json_t *backend, enum ctl_exit status)
{
	char text[LIVE_NOTE_OCTETS];

	if (waiting->options->json) {
		json_object_set(waiting->first, "backend", backend);
		json_dumpf(waiting->first, stdout, JSON_INDENT(2) | JSON_ENSURE_ASCII);
		fputc('\n', stdout);
	} else {
		fprintf(status == CTL_OK ? stdout : stderr, "%s/%s: %s\n", live_text(backend, "pool"),
			live_text(backend, "name"), live_drain_text(text, backend));
	}
	return fflush(stdout) == 0 ? status : CTL_REFUSED;
}

static int64_t lesser(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

/* True: it is over, and *status says how. Else *rest_s says when to look again. */
static bool is_over(struct waiting *waiting, json_t *backend, enum ctl_exit *status, int64_t *rest_s)
{
	const json_t *drain = json_object_get(backend, "drain");
	const int64_t wait_s = live_number(drain, "wait_s"), now_s = clock_s();

	if (!drain) {
		fprintf(stderr, "cidlbctl: %s/%s does not drain any more: it is %s\n", live_text(backend, "pool"),
			live_text(backend, "name"), live_text(backend, "state"));
		*status = CTL_REFUSED;
		return true;
	}
	if (json_is_true(json_object_get(drain, "may_stop"))) {
		*status = finish(waiting, backend, CTL_OK);
		if (*status == CTL_OK && waiting->unkept)
			*status = CTL_UNKEPT;
		return true;
	}
	if (waiting->end_s && now_s >= waiting->end_s) {
		*status = finish(waiting, backend, CTL_TIMEOUT);
		return true;
	}
	*rest_s = wait_s > 0 ? lesser(wait_s, LOOK_S) : 1;
	if (waiting->end_s)
		*rest_s = lesser(*rest_s, waiting->end_s - now_s);
	return false;
}

static enum ctl_exit follow(struct waiting *waiting)
{
	enum ctl_exit status = CTL_REFUSED;
	bool over = false;

	while (!over) {
		json_t *answer = look(waiting);
		int64_t rest_s = 1;

		if (!answer && clock_s() - waiting->heard_s > AWAY_S) {
			fprintf(stderr, "cidlbctl: no cidlb answers at %s any more\n", waiting->options->socket);
			return CTL_REFUSED;
		}
		over = answer && !json_is_true(json_object_get(answer, "ok"));
		if (over)
			live_print_refusal(answer);
		else if (answer)
			over = is_over(waiting, json_array_get(json_object_get(answer, "backends"), 0), &status,
				       &rest_s);
		json_decref(answer);
		if (!over)
			sleep((unsigned)rest_s);
	}
	return status;
}

/* Asks cidlb to drain it, and says what came of it. NULL: it was refused. */
static json_t *begin(struct waiting *waiting, const char *name)
{
	const struct ctl_options *options = waiting->options;
	json_t *request = json_pack("{s:s, s:s}", "command", "drain", "name", name), *answer = NULL;
	FILE *stream = live_dial(options->socket, ANSWER_S);

	if (stream) {
		answer = live_ask(stream, request);
		fclose(stream);
	}
	json_decref(request);
	if (answer && !json_is_true(json_object_get(answer, "ok"))) {
		live_print_refusal(answer);
		json_decref(answer);
		return NULL;
	}
	if (answer && !options->json) {
		live_print("drain", answer, stdout);
		fflush(stdout);
	}
	if (answer)
		waiting->unkept = live_print_unkept(answer);
	return answer;
}

enum ctl_exit drain_run(char **words, const struct ctl_options *options)
{
	const long timeout_s = options->timeout ? live_seconds(options->timeout) : 0;
	struct waiting waiting = { .options = options, .heard_s = clock_s() };
	const json_t *backend;
	enum ctl_exit status;

	if (timeout_s < 0 || (options->timeout && !options->wait)) {
		fprintf(stderr, "cidlbctl: --timeout goes with --wait, and takes a time as in 90s, 30m or 26h\n");
		return CTL_USAGE;
	}
	if (!options->wait)
		return live_command_run(words, options);
	if (options->timeout)
		waiting.end_s = clock_s() + timeout_s;
	waiting.first = begin(&waiting, words[1]);
	if (!waiting.first)
		return CTL_REFUSED;
	backend = json_object_get(waiting.first, "backend");
	waiting.request = json_pack("{s:s, s:o}", "command", "backends", "name",
				    json_sprintf("%s/%s", live_text(backend, "pool"), live_text(backend, "name")));
	status = follow(&waiting);
	json_decref(waiting.request);
	json_decref(waiting.first);
	return status;
}
