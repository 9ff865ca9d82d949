/* Which socket of an SO_REUSEPORT group gets a datagram. The kernel chooses by its source. So two workers may get what
 * a device sends and what others send with its CID, and nobody knows which comes first. Here the CID chooses.
 *
 * The source goes on to choose for datagrams that do not begin with a CID record, and for the first records of a
 * session of DTLS 1.2: a Finished, which has a CID, does not overtake the rest of its handshake, which has none.
 */
#ifndef CIDLB_IO_CID_GROUP_H
#define CIDLB_IO_CID_GROUP_H

#include <linux/filter.h>
#include <stddef.h>

enum {
	CID_GROUP_CODE = 32, /* instructions at most */
	CID_GROUP_EARLY = 4, /* record numbers of DTLS 1.2 that leave the choice to the source: 0 .. 3 */
};

/* What is to choose. */
struct cid_group {
	/* Octets, 1..20, that every CID has. The first and the last four of them are hashed. In longer CIDs the rest
	 * does not count. In shorter ones what follows the CID does, so that one session's datagrams go to several
	 * sockets. */
	unsigned octets;
	unsigned sockets; /* members of the group, 2..65536. If it has fewer, the source chooses for the rest */
};

/* Writes the program, which is given the payload and returns a socket's place in the group (socket(7),
 * SO_ATTACH_REUSEPORT_CBPF). A place that there is not lets the source choose. Returns its instructions. Pure. */
size_t cid_group_program(struct sock_filter code[static CID_GROUP_CODE], const struct cid_group *group);

/* Gives the program to the whole group that the socket is in, in place of the one before. 0 or -errno; -EINVAL: it is
 * in no group. */
int cid_group_attach(int fd, const struct cid_group *group);

/* From now on the source chooses. 0 or -errno; -ENOENT: so it did before; -EINVAL: it is in no group. */
int cid_group_detach(int fd);

#endif
