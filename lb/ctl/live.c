#include "ctl/live.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

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
