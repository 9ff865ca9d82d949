#include "bench/programs/fleet/delay.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

void delay_init(struct delay *delay)
{
	TAILQ_INIT(delay);
}

void delay_clear(struct delay *delay)
{
	struct delayed *datagram;
	while ((datagram = delay_take(delay, UINT64_MAX)) != NULL)
		free(datagram);
}

int delay_put(struct delay *delay, const uint8_t *data, size_t len, uint64_t due_ms)
{
	struct delayed *datagram = malloc(sizeof *datagram + len);
	if (!datagram)
		return -ENOMEM;
	datagram->due_ms = due_ms;
	datagram->len = len;
	memcpy(datagram->octets, data, len);
	TAILQ_INSERT_TAIL(delay, datagram, next);
	return 0;
}

struct delayed *delay_take(struct delay *delay, uint64_t now_ms)
{
	struct delayed *datagram = TAILQ_FIRST(delay);
	if (!datagram || datagram->due_ms > now_ms)
		return NULL;
	TAILQ_REMOVE(delay, datagram, next);
	return datagram;
}

uint64_t delay_due_ms(const struct delay *delay)
{
	const struct delayed *datagram = TAILQ_FIRST(delay);
	return datagram ? datagram->due_ms : UINT64_MAX;
}
