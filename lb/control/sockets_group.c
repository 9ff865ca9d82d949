/* Which worker gets a datagram of a listener: the one that its session's CID is hashed to (io/cid_group.h). So what
 * others send with a device's CID comes to the worker that the device's own comes to, and cannot overtake it there. */
#include <sys/stat.h>

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

/* Where the kernel refuses, the source goes on to choose. */
void slot_choose_by_cid(const struct sockets *sockets, const struct slot *slot)
{
	const struct cid_group group = { slot->cid_octets, members(sockets, slot) };

	if (group.sockets < 2)
		return;
	if (group.octets)
		(void)cid_group_attach(slot_handle(sockets, slot, 0), &group);
	else
		(void)cid_group_detach(slot_handle(sockets, slot, 0));
}
