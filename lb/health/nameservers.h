/* The nameservers of a resolv.conf, as libevent's evdns asks them. The file may change, so it is looked at again on
 * request. Control thread.
 *
 * evdns keeps a socket for each nameserver for as long as it lives, and so one port. Whoever knows that port can answer
 * in the nameserver's name. So each question has an evdns of its own: the kernel gives it another port. Besides that
 * an answer must come from the nameserver's address and port, and repeat the number of the question and the capital
 * letters of the name, which evdns draws for each. A search list is asked for one name after the other from one port.
 */
#ifndef CIDLB_HEALTH_NAMESERVERS_H
#define CIDLB_HEALTH_NAMESERVERS_H

#include <stdbool.h>

#include <event2/event.h>

enum {
	NAMESERVERS_TIMEOUT_MS = 1000, /* of one attempt */
	NAMESERVERS_ASKED = 2,         /* by one question, one after the other: as many descriptors */
	NAMESERVERS_MAX = 8,           /* known */
};

struct evdns_base;
struct nameservers;

/* -ENOMEM; -EADDRNOTAVAIL: no nameserver can be asked. */
int nameservers_open(struct nameservers **out, struct event_base *base, const char *file);
void nameservers_free(struct nameservers *nameservers);

/* To ask one question of, and to be freed with evdns_base_free(dns, 0): in the callback, or once the question is
 * cancelled. evdns has a callback left for a cancelled question, which does not touch the base any more. To free it
 * with `fail_requests` would let that touch freed memory. NULL: no memory or no descriptor. */
struct evdns_base *nameservers_ask(const struct nameservers *nameservers);

/* Nobody has answered a question. The next one asks another nameserver first. */
void nameservers_turn(struct nameservers *nameservers);

/* Reads the file again if it is another one now. True: it is. */
bool nameservers_renew(struct nameservers *nameservers);

#endif
