#include "start/check.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "base/priv.h"
#include "io/bare.h"

/* Cuts `path` down to its directory. */
static void to_directory(char *path)
{
	char *slash = strrchr(path, '/');

	slash[slash == path] = '\0';
}

/* Only the last directory may be missing: admin/socket.c makes it. */
static int socket_try(const char *name)
{
	char path[PATH_MAX];
	struct stat file;

	if (lstat(name, &file) == 0)
		return S_ISSOCK(file.st_mode) ? 0 : -EEXIST;
	if (errno != ENOENT)
		return -errno;
	snprintf(path, sizeof path, "%s", name);
	to_directory(path);
	if (stat(path, &file) < 0 && errno == ENOENT)
		to_directory(path);
	return access(path, W_OK | X_OK) < 0 ? -errno : 0;
}

static size_t say(const struct conf *conf, const char *what, const char *name, int err)
{
	char line[PATH_MAX + 256];

	snprintf(line, sizeof line, ":1: %s %s: %s", what, name, strerror(-err));
	log_plain(LOG_LEVEL_ERROR, conf->file, line);
	return 1;
}

static size_t check_port(const struct conf *conf, const struct addr *addr)
{
	char text[ADDR_TEXT_OCTETS];

	return priv_binds(addr->port) ? 0 : say(conf, "cannot bind", addr_format(addr, text), -EACCES);
}

/* What a pool of mode dsr sends through. */
static size_t check_dsr(const struct conf *conf, const struct conf_pool *pool)
{
	const int fd = bare_open(pool->dsr.encap == ENCAP_L2 ? BARE_LINK : pool->dsr.v6 ? BARE_IPIP_V6 : BARE_IPIP_V4);

	if (fd < 0)
		return say(conf, "cannot open the socket that takes root, of mode dsr of pool", pool->name, fd);
	close(fd);
	return 0;
}

size_t check_start(const struct conf *conf)
{
	size_t refused = 0;
	int err;

	for (size_t i = 0; i < conf->listener_count; i++)
		refused += check_port(conf, &conf->listeners[i].addr);
	for (size_t i = 0; i < conf->pool_count; i++)
		if (conf->pools[i].forward == FORWARD_TUNNEL)
			refused += check_port(conf, &conf->pools[i].tunnel.local);
	for (size_t i = 0; i < conf->pool_count; i++)
		if (conf->pools[i].forward == FORWARD_DSR)
			refused += check_dsr(conf, &conf->pools[i]);
	if (conf->has_http)
		refused += check_port(conf, &conf->http);
	/* Without the usual socket, cidlb starts as well. */
	err = conf->socket && !conf->socket_default ? socket_try(conf->socket) : 0;
	return err ? refused + say(conf, "no socket for cidlbctl at", conf->socket, err) : refused;
}
