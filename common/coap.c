#include "coap.h"

#include <errno.h>
#include <string.h>

#include "bytes.h"

enum { VERSION = 1, PAYLOAD_MARKER = 0xff };

enum {
	OPTION_URI_HOST = 3,
	OPTION_OBSERVE = 6,
	OPTION_URI_PORT = 7,
	OPTION_URI_PATH = 11,
	OPTION_CONTENT_FORMAT = 12,
	OPTION_URI_QUERY = 15,
	OPTION_ACCEPT = 17,
	OPTION_LAST = UINT16_MAX,
};

/* RFC 7252, section 3.1: 13 announces one further octet and 14 two; 15 is reserved. */
static int take_extended(struct bytes *in, unsigned nibble, uint32_t *out)
{
	const uint8_t *more;

	switch (nibble) {
	case 13:
		if (!(more = bytes_take(in, 1)))
			return -EBADMSG;
		*out = 13u + more[0];
		return 0;
	case 14:
		if (!(more = bytes_take(in, 2)))
			return -EBADMSG;
		*out = 269u + bytes_u16(more);
		return 0;
	case 15:
		return -EBADMSG;
	default:
		*out = nibble;
		return 0;
	}
}

/* RFC 7252, section 3.2: big endian; 0 has no octets. */
static int read_uint(const uint8_t *value, size_t len, size_t max_len, uint32_t *out)
{
	if (len > max_len)
		return -EBADMSG;
	*out = 0;
	for (size_t i = 0; i < len; i++)
		*out = *out << 8 | value[i];
	return 0;
}

static int append_segment(char path[static COAP_PATH_MAX], const uint8_t *value, size_t len)
{
	size_t used = strlen(path);

	if (len > 255)
		return -EBADMSG;
	if (used + 1 + len + 1 > COAP_PATH_MAX || memchr(value, '/', len) || memchr(value, '\0', len))
		return -ENOTSUP;
	path[used++] = '/';
	memcpy(path + used, value, len);
	path[used + len] = '\0';
	return 0;
}

static int read_option(struct coap_message *out, uint32_t number, const uint8_t *value, size_t len)
{
	uint32_t format;

	switch (number) {
	case OPTION_OBSERVE:
		out->has_observe = true;
		return read_uint(value, len, 3, &out->observe);
	case OPTION_URI_PATH:
		return append_segment(out->path, value, len);
	case OPTION_CONTENT_FORMAT:
		if (read_uint(value, len, 2, &format))
			return -EBADMSG;
		out->has_format = true;
		out->format = (uint16_t)format;
		return 0;
	case OPTION_URI_HOST:
	case OPTION_URI_PORT:
	case OPTION_URI_QUERY:
	case OPTION_ACCEPT:
		return 0;
	default:
		if (number & 1 && !out->bad_option)
			out->bad_option = (uint16_t)number;
		return 0;
	}
}

static int read_options(struct coap_message *out, struct bytes *in)
{
	const uint8_t *head;
	uint32_t number = 0, delta, len;
	int unfit = 0;

	while (in->left) {
		head = bytes_take(in, 1);
		if (head[0] == PAYLOAD_MARKER) {
			out->payload = in->at;
			out->payload_len = in->left;
			return in->left ? unfit : -EBADMSG;
		}
		if (take_extended(in, head[0] >> 4, &delta) || take_extended(in, head[0] & 15, &len))
			return -EBADMSG;
		number += delta;
		const uint8_t *value = bytes_take(in, len);
		if (!value || number > OPTION_LAST)
			return -EBADMSG;
		int err = read_option(out, number, value, len);
		if (err == -EBADMSG)
			return err;
		if (err)
			unfit = err; /* a later option may still prove the message malformed */
	}
	return unfit;
}

int coap_decode(struct coap_message *out, const uint8_t *data, size_t len)
{
	struct bytes in = { data, len };
	const uint8_t *header = bytes_take(&in, COAP_HEADER_OCTETS);

	memset(out, 0, sizeof *out);
	if (!header || header[0] >> 6 != VERSION)
		return -EBADMSG;
	out->type = header[0] >> 4 & 3;
	out->code = header[1];
	out->id = bytes_u16(header + 2);
	out->token_len = header[0] & 15;
	if (out->code == COAP_EMPTY)
		return out->token_len || in.left ? -EBADMSG : 0;
	const uint8_t *token = out->token_len <= COAP_TOKEN_MAX ? bytes_take(&in, out->token_len) : NULL;
	if (!token) {
		out->token_len = 0;
		return -EBADMSG;
	}
	memcpy(out->token, token, out->token_len);
	return read_options(out, &in);
}

struct writer {
	uint8_t *at;
	size_t left;     /* octets from there */
	uint32_t option; /* number of the last option */
};

static int put(struct writer *out, const void *data, size_t len)
{
	if (len > out->left)
		return -ENOSPC;
	if (len)
		memcpy(out->at, data, len);
	out->at += len;
	out->left -= len;
	return 0;
}

/* One further octet is enough: every number written here is below 13 + 255, and every value is shorter than 13 + 255
 * octets. */
static int put_option(struct writer *out, uint32_t number, const void *value, size_t len)
{
	uint32_t delta = number - out->option;
	uint8_t head[3];
	size_t head_len = 1;

	head[0] = (uint8_t)((delta < 13 ? delta : 13) << 4 | (len < 13 ? len : 13));
	if (delta >= 13)
		head[head_len++] = (uint8_t)(delta - 13);
	if (len >= 13)
		head[head_len++] = (uint8_t)(len - 13);
	out->option = number;
	int err = put(out, head, head_len);
	return err ? err : put(out, value, len);
}

static int put_uint(struct writer *out, uint32_t number, uint32_t value)
{
	uint8_t octets[4] = { (uint8_t)(value >> 24), (uint8_t)(value >> 16), (uint8_t)(value >> 8), (uint8_t)value };
	size_t skip = 0;

	while (skip < sizeof octets && !octets[skip])
		skip++;
	return put_option(out, number, octets + skip, sizeof octets - skip);
}

static int put_path(struct writer *out, const char *path)
{
	while (path[0] == '/' && path[1]) {
		const char *segment = path + 1;
		size_t len = strcspn(segment, "/");
		int err = put_option(out, OPTION_URI_PATH, segment, len);
		if (err)
			return err;
		path = segment + len;
	}
	return 0;
}

static int put_options(struct writer *out, const struct coap_message *message)
{
	int err = 0;

	if (message->has_observe)
		err = put_uint(out, OPTION_OBSERVE, message->observe);
	if (!err)
		err = put_path(out, message->path);
	if (!err && message->has_format)
		err = put_uint(out, OPTION_CONTENT_FORMAT, message->format);
	if (!err && message->payload_len) {
		err = put(out, &(const uint8_t){ PAYLOAD_MARKER }, 1);
		if (!err)
			err = put(out, message->payload, message->payload_len);
	}
	return err;
}

static bool is_writable(const struct coap_message *message)
{
	if (message->token_len > COAP_TOKEN_MAX || message->observe > COAP_OBSERVE_MAX ||
	    (unsigned)message->type > COAP_RST || !memchr(message->path, '\0', sizeof message->path) ||
	    (message->path[0] && message->path[0] != '/'))
		return false;
	return message->code != COAP_EMPTY || !(message->token_len || message->has_observe || message->path[0] ||
						message->has_format || message->payload_len);
}

int coap_encode(const struct coap_message *message, uint8_t *out, size_t size, size_t *len)
{
	struct writer writer = { out, size, 0 };

	if (!is_writable(message))
		return -EINVAL;
	const uint8_t header[COAP_HEADER_OCTETS] = { (uint8_t)(VERSION << 6 | message->type << 4 | message->token_len),
						     message->code, (uint8_t)(message->id >> 8), (uint8_t)message->id };
	int err = put(&writer, header, sizeof header);
	if (!err)
		err = put(&writer, message->token, message->token_len);
	if (!err)
		err = put_options(&writer, message);
	if (err)
		return err;
	*len = size - writer.left;
	return 0;
}
