#include "service.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

enum { ID_WORD_OCTETS = 7 /* " id:255" */, JSON_OCTETS = 160 };
_Static_assert(2 + STEERING_IDS * ID_WORD_OCTETS + 1 + SERVICE_WORDS_OCTETS + 1 + JSON_OCTETS <= SERVICE_TEXT_OCTETS, "every answer fits");

/* Blank and its first line; nothing if there is none. A pipe without a writer must not keep the sessions waiting. */
static size_t write_words(const char *file, char out[static 1 + SERVICE_WORDS_OCTETS])
{
	int fd = file ? open(file, O_RDONLY | O_CLOEXEC | O_NONBLOCK) : -1;
	if (fd < 0)
		return 0;
	ssize_t got = read(fd, out + 1, SERVICE_WORDS_OCTETS);
	size_t len = 0;

	close(fd);
	while ((ssize_t)len < got && (out[1 + len] == '\t' || (unsigned char)out[1 + len] >= ' '))
		len++;
	out[0] = ' ';
	return len ? 1 + len : 0;
}

size_t service_describe(const struct service *service, char out[static SERVICE_TEXT_OCTETS])
{
	const struct report *report = service->report;
	size_t len = (size_t)sprintf(out, "up id:%u", service->id), ids = 1;

	for (unsigned id = 0; id < SERVICE_IDS && ids < STEERING_IDS; id++) {
		if (!service->serves[id] || id == service->id)
			continue;
		len += (size_t)sprintf(out + len, " id:%u", id);
		ids++;
	}
	len += write_words(service->steer, out + len);
	return len + (size_t)snprintf(out + len, JSON_OCTETS,
				      "\n{\"id\":%u,\"handshakes\":%" PRIu64 ",\"sessions\":%" PRIu64 ",\"address_changes\":%" PRIu64 "}",
				      service->id, report->handshakes, report->sessions, report->address_changes);
}
