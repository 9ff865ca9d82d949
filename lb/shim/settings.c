#include "shim/settings.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { KEY_FILE_OCTETS = 1024 };

static void __attribute__((format(printf, 2, 3))) complain(struct settings *settings, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(settings->problem, sizeof settings->problem, format, arguments);
	va_end(arguments);
}

/* Reads a port, 1..65535. Returns what ends it, which must be one of `ends`. NULL: anything else. */
static const char *read_port(uint16_t *out, const char *text, const char *ends)
{
	const size_t digits = strspn(text, "0123456789");
	unsigned port = 0;

	if (digits < 1 || digits > 5 || !strchr(ends, text[digits]))
		return NULL;
	for (size_t i = 0; i < digits; i++)
		port = port * 10 + (unsigned)(text[i] - '0');
	*out = (uint16_t)port;
	return port >= 1 && port <= UINT16_MAX ? text + digits : NULL;
}

/* Commas separate the ports. The last one may end with the text, because strchr() also finds the NUL of `ends`. */
static bool read_ports(struct settings *settings, const char *text)
{
	do {
		if (settings->port_count == SETTINGS_PORTS)
			return false;
		text = read_port(&settings->ports[settings->port_count++], text, ",");
	} while (text && *text++ == ',');
	return text;
}

/* IP:PORT or IP:PORT-PORT. */
static const char *read_node(struct settings_node *out, const char *text)
{
	const size_t len = strcspn(text, ",-");
	char first[ADDR_TEXT_OCTETS];

	if (len >= sizeof first)
		return NULL;
	memcpy(first, text, len);
	first[len] = '\0';
	/* The shim keeps no interface for a node. */
	if (addr_parse(&out->first, first) != 0 || addr_is_of_link(out->first.ip))
		return NULL;
	out->last_port = out->first.port;
	text += len;
	if (*text == '-')
		text = read_port(&out->last_port, text + 1, ",");
	return text && out->last_port >= out->first.port ? text : NULL;
}

static bool read_nodes(struct settings *settings, const char *text)
{
	do {
		if (settings->node_count == SETTINGS_NODES)
			return false;
		text = read_node(&settings->nodes[settings->node_count++], text);
	} while (text && *text++ == ',');
	return text;
}

/* Why the file cannot be used; NULL: it was read. A FIFO does not block it, and a change between check and use does not
 * fool it. */
static const char *read_key_file(struct proxy2_keys *out, const char *path)
{
	char text[KEY_FILE_OCTETS];
	const char *why = NULL;
	struct stat st;
	ssize_t len;

	const int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (fd < 0)
		return strerror(errno);
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
		why = "not a file";
	else if (st.st_mode & S_IRWXO)
		why = "others can access it; chmod o-rwx it";
	else if ((len = read(fd, text, sizeof text)) < 0)
		why = strerror(errno);
	else if ((size_t)len == sizeof text)
		why = "too long";
	else {
		text[len] = '\0';
		if (strlen(text) != (size_t)len || proxy2_parse_keys(out, text) != 0)
			why = "not 1..16 different lines ID:HEX, with ids 0..255 and 32 hex digits";
		explicit_bzero(text, sizeof text);
	}
	close(fd);
	return why;
}

void settings_read(struct settings *out, const char *ports, const char *key, const char *nodes)
{
	const char *why;

	*out = (struct settings){ 0 };
	if (!ports)
		return;
	if (!read_ports(out, ports)) {
		out->any_port = true;
		complain(out, "CIDLB_SHIM_PORTS=%.100s: not a list of 1..%d ports, as in 5684,5683", ports,
			 SETTINGS_PORTS);
	} else if (!nodes || !read_nodes(out, nodes)) {
		complain(out,
			 "CIDLB_SHIM_NODES=%.100s: not a list of 1..%d nodes, as in "
			 "10.0.0.2:7200-7203,[2001:db8::2]:7200",
			 nodes ? nodes : "", SETTINGS_NODES);
	} else if (!key || *key != '@') {
		complain(out, "CIDLB_SHIM_KEY: not @FILE");
	} else if ((why = read_key_file(&out->keys, key + 1))) {
		complain(out, "CIDLB_SHIM_KEY=%.100s: %s", key, why);
	}
}

int settings_port(const struct settings *settings, uint16_t port)
{
	for (size_t i = 0; i < settings->port_count; i++)
		if (settings->ports[i] == port)
			return (int)i;
	return -1;
}

int settings_node(const struct settings *settings, const struct addr *outer)
{
	for (size_t i = 0; i < settings->node_count; i++) {
		const struct settings_node *node = &settings->nodes[i];
		if (outer->port >= node->first.port && outer->port <= node->last_port &&
		    memcmp(outer->ip, node->first.ip, sizeof outer->ip) == 0)
			return (int)i;
	}
	return -1;
}
