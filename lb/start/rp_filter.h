/* Whether the kernel admits datagrams from the side of the devices that have the source address of a server
 * (net.ipv4.conf.*.rp_filter). What comes in that way is no reply for the packet path, but answers of probes are not
 * told from it. IPv6 has no such filter. Control thread. */
#ifndef CIDLB_START_RP_FILTER_H
#define CIDLB_START_RP_FILTER_H

#include <net/if.h>
#include <stdbool.h>
#include <stdint.h>

struct control;

enum { RP_FILTER_STRICT = 1 /* of 0, none; 1; 2, loose */, RP_FILTER_TEXT_OCTETS = 128 };

/* Writes the settings that make the filter of an interface strict, as sysctl takes them. `all` and `own` are what
 * net.ipv4.conf.all and the interface have; the larger one is in force. False: it is strict. */
bool rp_filter_mend(char out[static RP_FILTER_TEXT_OCTETS], const char *iface, uint32_t all, uint32_t own);

/* Warns with each configuration that is applied from now on, for each interface that devices come in on and through
 * which no server is reached. 0 or -errno. */
int rp_filter_watch(struct control *control);

#endif
