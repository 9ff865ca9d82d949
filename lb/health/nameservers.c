#include "health/nameservers.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <event2/dns.h>

#include "base/log.h"

/* By itself evdns asks three times for 5 s, which is too slow. It probes a nameserver that it takes for dead with a
 * question about google.com: now at most once an hour, since a question of ours finds out as well. In flight is at most
 * what a nameserver's receive buffer takes. */
_Static_assert(NAMESERVERS_TIMEOUT_MS == 1000, "as \"timeout:\" says");
static const char *const dns_options[][2] = {
	{ "timeout:", "1" },
	{ "attempts:", "2" },
	{ "max-inflight:", "128" },
	{ "initial-probe-timeout:", "3600" },
};

/* What tells a file from another in its place. */
struct edition {
	dev_t device;
	ino_t inode;
	off_t octets;
	struct timespec modified;
};

struct nameservers {
	struct event_base *base;
	struct evdns_base *dns;
	struct edition edition; /* of `file` */
	char *file;
};

static void log_warning(int is_warning, const char *message)
{
	if (is_warning)
		log_event(LOG_LEVEL_WARNING, "dns", NULL, NULL, "%s", message);
}

/* Datagrams of strangers would be logged, too. */
static void log_nothing(int is_warning, const char *message)
{
	(void)is_warning;
	(void)message;
}

static struct edition edition_of(const char *file)
{
	struct stat is;

	if (stat(file, &is) < 0)
		return (struct edition){ 0 };
	return (struct edition){
		.device = is.st_dev, .inode = is.st_ino, .octets = is.st_size, .modified = is.st_mtim
	};
}

static bool edition_is(const struct edition *a, const struct edition *b)
{
	return a->device == b->device && a->inode == b->inode && a->octets == b->octets &&
	       a->modified.tv_sec == b->modified.tv_sec && a->modified.tv_nsec == b->modified.tv_nsec;
}

/* evdns asks 127.0.0.1 if the file is not there or names nobody. */
static int dns_open(struct evdns_base **out, struct event_base *base, const char *file)
{
	struct evdns_base *dns = evdns_base_new(base, 0);

	if (!dns)
		return -ENOMEM;
	evdns_set_log_fn(log_warning);
	(void)evdns_base_resolv_conf_parse(dns, DNS_OPTION_NAMESERVERS | DNS_OPTION_SEARCH, file);
	evdns_set_log_fn(log_nothing);
	for (size_t i = 0; i < sizeof dns_options / sizeof *dns_options; i++)
		(void)evdns_base_set_option(dns, dns_options[i][0], dns_options[i][1]);
	/* Without a nameserver questions would wait for ever. */
	if (evdns_base_count_nameservers(dns) == 0) {
		evdns_base_free(dns, 0);
		return -EADDRNOTAVAIL;
	}
	*out = dns;
	return 0;
}

int nameservers_open(struct nameservers **out, struct event_base *base, const char *file)
{
	struct nameservers *nameservers = calloc(1, sizeof *nameservers);
	int err = -ENOMEM;

	if (!nameservers)
		return err;
	*nameservers = (struct nameservers){ .base = base, .edition = edition_of(file), .file = strdup(file) };
	if (nameservers->file)
		err = dns_open(&nameservers->dns, base, file);
	if (err) {
		free(nameservers->file);
		free(nameservers);
		return err;
	}
	*out = nameservers;
	return 0;
}

struct evdns_base *nameservers_dns(const struct nameservers *nameservers)
{
	return nameservers->dns;
}

struct evdns_base *nameservers_renew(struct nameservers *nameservers)
{
	const struct edition edition = edition_of(nameservers->file);
	struct evdns_base *dns, *old = nameservers->dns;

	if (edition_is(&edition, &nameservers->edition) || dns_open(&dns, nameservers->base, nameservers->file) < 0)
		return NULL;
	nameservers->dns = dns;
	nameservers->edition = edition;
	return old;
}

void nameservers_free(struct nameservers *nameservers)
{
	evdns_base_free(nameservers->dns, 0);
	free(nameservers->file);
	free(nameservers);
}
