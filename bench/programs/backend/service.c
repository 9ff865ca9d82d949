#include "bench/programs/backend/service.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { ID_WORD_OCTETS = 14 /* " id:4294967295" */, JSON_OCTETS = 160 };
_Static_assert(2 + STEERING_IDS * ID_WORD_OCTETS + 1 + SERVICE_WORDS_OCTETS + 1 + JSON_OCTETS <= SERVICE_TEXT_OCTETS,
	       "every answer fits");

void service_add_id(struct service *service, uint32_t id)
{
	size_t at = 0;

	while (at < service->serves_count && service->serves[at] < id)
		at++;
	if (id == service->id || at == SERVICE_IDS || (at < service->serves_count && service->serves[at] == id))
		return;
	if (service->serves_count < SERVICE_IDS)
		service->serves_count++;
	memmove(&service->serves[at + 1], &service->serves[at],
		(service->serves_count - 1 - at) * sizeof *service->serves);
	service->serves[at] = id;
}

/* Appends a blank and the first line of the file, or nothing if there is none. A pipe without a writer must not keep
 * the sessions waiting. */
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
	size_t len = (size_t)sprintf(out, "up id:%" PRIu32, service->id);

	for (size_t i = 0; i < service->serves_count; i++)
		len += (size_t)sprintf(out + len, " id:%" PRIu32, service->serves[i]);
	len += write_words(service->steer, out + len);
	return len + (size_t)snprintf(out + len, JSON_OCTETS,
				      "\n{\"id\":%" PRIu32 ",\"handshakes\":%" PRIu64 ",\"sessions\":%" PRIu64
				      ",\"address_changes\":%" PRIu64 "}",
				      service->id, report->handshakes, report->sessions, report->address_changes);
}
