#include "ctl/live.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "ctl/ctl.h"

enum { ANSWER_S = 10 /* a reload may take a while */ };

/* `what`: as the user knows it. */
static enum ctl_exit add_number(json_t *request, const char *key, const char *what, const char *text)
{
	json_int_t number;
	char *end;

	errno = 0;
	number = strtoll(text, &end, 10);
	if (errno == 0 && end != text && *end == '\0')
		return json_object_set_new(request, key, json_integer(number)) == 0 ? CTL_OK : CTL_REFUSED;
	fprintf(stderr, "cidlbctl: %s takes a number, not %s\n", what, text);
	return CTL_USAGE;
}

FILE *live_dial(const char *path, unsigned patience_s)
{
	const struct timeval limit = { .tv_sec = patience_s };
	struct sockaddr_un name = { .sun_family = AF_UNIX };
	int fd = -1;
	FILE *stream;

	if (strlen(path) >= sizeof name.sun_path) {
		errno = ENAMETOOLONG;
	} else {
		strcpy(name.sun_path, path);
		fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	}
	if (fd >= 0 && setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit) == 0 &&
	    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit) == 0 &&
	    connect(fd, (struct sockaddr *)&name, sizeof name) == 0 && (stream = fdopen(fd, "r+")))
		return stream;
	fprintf(stderr, "cidlbctl: no cidlb answers at %s: %s\n", path, strerror(errno));
	if (fd >= 0)
		close(fd);
	return NULL;
}

json_t *live_read(FILE *stream)
{
	json_error_t error;
	json_t *answer = NULL;
	char *line = NULL;
	size_t room = 0;

	if (getline(&line, &room, stream) < 0)
		fprintf(stderr, "cidlbctl: no answer: %s\n", feof(stream) ? "connection closed" : strerror(errno));
	else if (!(answer = json_loads(line, 0, &error)))
		fprintf(stderr, "cidlbctl: the answer is no JSON: %s\n", error.text);
	free(line);
	return answer;
}

json_t *live_ask(FILE *stream, const json_t *request)
{
	if (json_dumpf(request, stream, JSON_COMPACT) == 0 && fputc('\n', stream) != EOF && fflush(stream) == 0)
		return live_read(stream);
	fprintf(stderr, "cidlbctl: cannot ask: %s\n", strerror(errno));
	return NULL;
}

void live_print_refusal(const json_t *answer)
{
	const char *error = json_string_value(json_object_get(answer, "error"));
	const json_t *line;
	size_t index;

	json_array_foreach(json_object_get(answer, "errors"), index, line)
		fprintf(stderr, "%s\n", json_string_value(line));
	fprintf(stderr, "cidlbctl: %s\n", error ? error : "refused");
}

static enum ctl_exit show(const char *command, const json_t *answer, bool json)
{
	bool ok = json_is_true(json_object_get(answer, "ok"));

	if (json) {
		json_dumpf(answer, stdout, JSON_INDENT(2) | JSON_ENSURE_ASCII);
		fputc('\n', stdout);
	} else if (ok) {
		live_print(command, answer, stdout);
	}
	if (!ok)
		live_print_refusal(answer);
	return ok && fflush(stdout) == 0 ? CTL_OK : CTL_REFUSED;
}

static enum ctl_exit exchange(const char *command, const json_t *request, const struct ctl_options *options)
{
	FILE *stream = live_dial(options->socket, ANSWER_S);
	json_t *answer = stream ? live_ask(stream, request) : NULL;
	enum ctl_exit status = answer ? show(command, answer, options->json) : CTL_REFUSED;

	if (stream)
		fclose(stream);
	json_decref(answer);
	return status;
}

enum ctl_exit ctl_live(int argc, char **argv, const struct ctl_options *options)
{
	json_t *request = json_pack("{s:s}", "command", argv[0]);
	enum ctl_exit status = CTL_OK;

	if (options->cid)
		json_object_set_new(request, "cid", json_string(options->cid));
	if (options->from)
		json_object_set_new(request, "from", json_string(options->from));
	if (options->limit)
		status = add_number(request, "limit", "--limit", options->limit);
	if (argc > 1)
		json_object_set_new(request, "name", json_string(argv[1]));
	if (argc > 2)
		status = add_number(request, "weight", argv[0], argv[2]);
	if (status == CTL_OK)
		status = exchange(argv[0], request, options);
	json_decref(request);
	return status;
}
