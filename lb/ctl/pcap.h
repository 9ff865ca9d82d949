/* Datagrams as a capture file that tcpdump, tshark and Wireshark read: raw IP (LINKTYPE_RAW), headers made from the
 * addresses. */
#ifndef CIDLB_CTL_PCAP_H
#define CIDLB_CTL_PCAP_H

#include <stdint.h>
#include <stdio.h>

#include "common/addr.h"

struct pcap_datagram {
	uint64_t time_us;     /* since 1970 */
	struct addr from, to; /* of one family */
	const uint8_t *data;
	size_t len, kept; /* octets of the datagram, and those of `data` */
};

/* The head of a file. Returns 0 or -errno. */
int pcap_begin(FILE *out);

/* One datagram. Returns 0 or -errno; -EMSGSIZE: no UDP datagram has so many octets. */
int pcap_write(FILE *out, const struct pcap_datagram *datagram);

#endif
