#include "start/notify.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/log.h"

struct notify {
	int fd;
	struct sockaddr_un name;
	socklen_t name_len;
};

static void log_failure(const char *path, int err)
{
	log_fields(&(struct log_what){ LOG_LEVEL_WARNING, "systemd", NULL, NULL,
				       LOG_FIELDS(LOG_TEXT("path", path), LOG_TEXT("error", strerror(-err))) },
		   "%s cannot be told how cidlb is: %s", path, strerror(-err));
}

/* 0 or -errno. */
static int notify_open(struct notify *notify, const char *path)
{
	static const struct timeval patience = { .tv_sec = 1 };
	const size_t len = strlen(path);

	if (len == 0 || len >= sizeof notify->name.sun_path)
		return -ENAMETOOLONG;
	notify->name.sun_family = AF_UNIX;
	memcpy(notify->name.sun_path, path, len);
	if (path[0] == '@') /* of the abstract namespace */
		notify->name.sun_path[0] = '\0';
	notify->name_len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len);
	notify->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (notify->fd < 0)
		return -errno;
	(void)setsockopt(notify->fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
	return 0;
}

struct notify *notify_new(void)
{
	const char *path = getenv("NOTIFY_SOCKET");
	struct notify *notify = path ? calloc(1, sizeof *notify) : NULL;
	int err = notify ? notify_open(notify, path) : 0;

	if (!err)
		return notify;
	log_failure(path, err);
	free(notify);
	return NULL;
}

void notify_free(struct notify *notify)
{
	if (!notify)
		return;
	close(notify->fd);
	free(notify);
}

static int send_message(const struct notify *notify, struct msghdr *message, const char *state, int flags)
{
	struct iovec text = { (char *)(uintptr_t)state, strlen(state) };

	message->msg_iov = &text;
	message->msg_iovlen = 1;
	message->msg_name = (void *)(uintptr_t)&notify->name;
	message->msg_namelen = notify->name_len;
	return sendmsg(notify->fd, message, MSG_NOSIGNAL | flags) < 0 ? -errno : 0;
}

int notify_send(struct notify *notify, const char *state, enum notify_how how)
{
	struct msghdr message = { 0 };
	int err;

	if (!notify)
		return 0;
	err = send_message(notify, &message, state, how == NOTIFY_NOW ? MSG_DONTWAIT : 0);
	if (err && how == NOTIFY_WAIT)
		log_failure(getenv("NOTIFY_SOCKET"), err);
	return err;
}

int notify_send_fds(struct notify *notify, const char *state, const int *fds, size_t count)
{
	_Alignas(struct cmsghdr) char control[CMSG_SPACE(NOTIFY_FDS * sizeof *fds)] = { 0 };
	struct msghdr message = { .msg_control = control, .msg_controllen = CMSG_SPACE(count * sizeof *fds) };
	struct cmsghdr *c = CMSG_FIRSTHDR(&message);
	int err;

	if (!notify)
		return 0;
	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(count * sizeof *fds);
	memcpy(CMSG_DATA(c), fds, count * sizeof *fds);
	err = send_message(notify, &message, state, 0);
	if (err)
		log_failure(getenv("NOTIFY_SOCKET"), err);
	return err;
}
