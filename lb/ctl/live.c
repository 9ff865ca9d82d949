#include "ctl/live.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

FILE *live_try_dial(const char *path, unsigned patience_s)
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
	if (fd >= 0) {
		const int err = errno;

		close(fd);
		errno = err;
	}
	return NULL;
}

FILE *live_dial(const char *path, unsigned patience_s)
{
	FILE *stream = live_try_dial(path, patience_s);

	if (!stream)
		fprintf(stderr, "cidlbctl: no cidlb answers at %s: %s\n", path, strerror(errno));
	return stream;
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

long live_seconds(const char *text)
{
	static const struct {
		const char *unit;
		long s;
	} units[] = { { "", 1 }, { "s", 1 }, { "m", 60 }, { "h", 3600 } };
	char *end;
	long value = strtol(text, &end, 10);

	if (end == text || value < 0 || value > INT32_MAX / 3600)
		return -1;
	for (size_t i = 0; i < sizeof units / sizeof *units; i++)
		if (strcmp(end, units[i].unit) == 0)
			return value * units[i].s;
	return -1;
}

bool live_print_unkept(const json_t *answer)
{
	const char *why = json_string_value(json_object_get(answer, "unkept"));

	if (!json_is_false(json_object_get(answer, "kept")))
		return false;
	fprintf(stderr, "cidlbctl: it is in force, but will not survive a restart of cidlb: %s\n", why ? why : "-");
	return true;
}
