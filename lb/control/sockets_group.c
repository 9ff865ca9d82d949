/* Which worker gets a datagram of a listener: the one that its session's CID is hashed to (io/cid_group.h). So what
 * others send with a device's CID comes to the worker that the device's own comes to, and cannot overtake it there. */
#include <string.h>
#include <sys/stat.h>

#include "base/log.h"
#include "control/sockets_priv.h"
#include "io/cid_group.h"

enum { LEARNED_OCTETS = 4 /* no CID of a server that means them to differ is shorter */ };

static uint8_t shortest(const struct cid_layout *layout)
{
	uint8_t octets = layout->length;

	for (uint8_t rotation = 0; layout->rotations && rotation < LBCID_ROTATIONS; rotation++) {
		const struct lbcid_config *config = cid_config(layout, rotation);

		if (config && config->length < octets)
			octets = config->length;
	}
	return octets;
}

uint8_t slot_cid_octets(const struct conf_pool *pool)
{
	if (pool->protocol != POOL_DTLS)
		return 0;
	return pool->layout.scheme == CID_LAYOUT_LEARNED ? LEARNED_OCTETS : shortest(&pool->layout);
}

/* Members of the group. Where a worker could have none of its own, it shares the first. */
static unsigned members(const struct sockets *sockets, const struct slot *slot)
{
	const unsigned size = slot_size(sockets, slot);
	unsigned count = 1;
	struct stat first, other;

	if (fstat(slot_handle(sockets, slot, 0), &first) < 0)
		return 0;
	for (unsigned i = 1; i < size; i++)
		count += fstat(slot_handle(sockets, slot, i), &other) == 0 && other.st_ino != first.st_ino;
	return count;
}

static void log_refused(const struct slot *slot, int err)
{
	char text[ADDR_TEXT_OCTETS];

	addr_format(&slot->addr, text);
	log_fields(&(struct log_what){ LOG_LEVEL_WARNING, "cid_group", NULL, NULL,
				       LOG_FIELDS(LOG_TEXT("address", text), LOG_TEXT("error", strerror(-err)),
						  LOG_TEXT("reason", "the source alone chooses the worker, so what one "
								     "session sends from several addresses may be "
								     "forwarded in another order")) },
		   "%s: the kernel does not let the CID choose the worker: %s; the source alone does, so what one "
		   "session sends from several addresses may be forwarded in another order",
		   text, strerror(-err));
}

void slot_choose_by_cid(struct sockets *sockets, const struct slot *slot)
{
	const struct cid_group group = { slot->cid_octets, members(sockets, slot) };
	const int fd = slot_handle(sockets, slot, 0);
	int err = 0;

	if (group.sockets < 2)
		return;
	if (group.octets)
		err = cid_group_attach(fd, &group);
	if (err && !sockets->refused[slot->number])
		log_refused(slot, err);
	sockets->refused[slot->number] = err != 0;
	/* A program that is there may be one for other CIDs. */
	if (err || !group.octets)
		(void)cid_group_detach(fd);
}
