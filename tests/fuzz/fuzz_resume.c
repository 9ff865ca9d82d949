/* What resumes: any datagrams in any order, down and up, against a search that knows nothing of records and messages.
 *
 * The input is datagrams, each behind its length of two octets; the highest bit says that it goes up. */
#include <stdlib.h>
#include <string.h>

#include "common/bytes.h"
#include "common/resume.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static const struct siphash_key key = { 1, 2 };

static void require(bool holds)
{
	if (!holds)
		abort();
}

/* What is offered stands in the datagram: a session id as it is, behind its length. */
static void check_id(uint64_t id, struct bytes in)
{
	for (size_t at = 0; at < in.left; at++) {
		uint8_t hashed[3 + RESUME_ID_MAX] = { 1, 0, in.at[at] };
		const size_t octets = in.at[at];

		if (octets == 0 || octets > RESUME_ID_MAX || octets > in.left - at - 1)
			continue;
		memcpy(hashed + 3, in.at + at + 1, octets);
		if (siphash24(&key, hashed, 3 + octets) == id)
			return;
	}
	require(false);
}

static void go_up(struct bytes in)
{
	struct resume_names out;

	require(resume_read_offer(&out, &key, in.at, in.left) == (out.session_id || out.ticket));
	if (out.session_id)
		check_id(out.session_id, in);
}

static void go_down(struct resume *resume, struct bytes in)
{
	static const struct resume nothing;
	const bool served = resume->served;
	struct resume_names out;

	if (resume_reply(resume, &key, in.at, in.left, &out)) {
		/* Neither an empty datagram nor one without a record of the first epoch shows anything. */
		require(in.left >= 13 && memcmp(&resume->given, &nothing.given, sizeof nothing.given) == 0 &&
			!resume->served && !resume->full);
		return;
	}
	require(resume->served || (!served && !resume->full && !resume->given.session_id && !resume->given.ticket));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct bytes in = { data, len };
	struct resume resume = { 0 };
	const uint8_t *head;

	while ((head = bytes_take(&in, 2))) {
		const size_t wanted = bytes_u16(head) & 0x7fff, octets = wanted < in.left ? wanted : in.left;
		uint8_t *copy = malloc(octets ? octets : 1); /* so that AddressSanitizer sees a read behind it */

		require(copy);
		memcpy(copy, bytes_take(&in, octets), octets);
		(void)resume_is_settled(copy, octets);
		if (head[0] & 0x80)
			go_up((struct bytes){ copy, octets });
		else
			go_down(&resume, (struct bytes){ copy, octets });
		free(copy);
	}
	return 0;
}
