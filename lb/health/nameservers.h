/* The nameservers of a resolv.conf, as libevent's evdns asks them. The file may change, so it is looked at again on
 * request. Control thread. */
#ifndef CIDLB_HEALTH_NAMESERVERS_H
#define CIDLB_HEALTH_NAMESERVERS_H

#include <event2/event.h>

enum { NAMESERVERS_TIMEOUT_MS = 1000 /* of one question */ };

struct evdns_base;
struct nameservers;

/* -ENOMEM; -EADDRNOTAVAIL: no nameserver can be asked. */
int nameservers_open(struct nameservers **out, struct event_base *base, const char *file);

/* To ask questions of. Valid until nameservers_renew() or nameservers_free(). */
struct evdns_base *nameservers_dns(const struct nameservers *nameservers);

/* Reads the file again if it is another one now. NULL: nothing has changed. Else returns the old nameservers, whose
 * questions the caller cancels before it frees them with evdns_base_free(old, 0): evdns has a callback left for each
 * cancelled question, which does not touch them any more. To free them with `fail_requests` would let it touch freed
 * memory. */
struct evdns_base *nameservers_renew(struct nameservers *nameservers);

void nameservers_free(struct nameservers *nameservers);

#endif
