/* Answers that steer. Input: octets of a server id (0: a layout without ids), then the answer. */
#include <stdlib.h>
#include <string.h>

#include "common/steering.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void require(bool holds)
{
	if (!holds)
		abort();
}

static void check_ids(const struct steering *said, const struct cid_layout *layout)
{
	require(said->id_count <= STEERING_IDS);
	for (size_t i = 0; i < said->id_count; i++) {
		require(said->ids[i].len == cid_id_octets(layout));
		for (size_t j = 0; j < i; j++)
			require(memcmp(said->ids[i].octets, said->ids[j].octets, said->ids[i].len) != 0);
	}
}

/* Nothing is read beyond the first line. */
static void check_first_line(const struct steering *said, const struct cid_layout *layout, const uint8_t *text,
			     size_t len)
{
	char unknown[STEERING_WORD_OCTETS];
	struct steering again;
	size_t line = 0;

	while (line < len && text[line] != '\r' && text[line] != '\n')
		line++;
	(void)steering_read(&again, layout, text, line, unknown);
	require(again.down == said->down && again.admin == said->admin && again.percent == said->percent);
	require(again.id_count == said->id_count);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct cid_layout layout = { .scheme = CID_LAYOUT_HASH, .length = LBCID_MAX_OCTETS };
	char unknown[STEERING_WORD_OCTETS];
	struct steering said;

	if (len < 1 || data[0] > LBCID_MAX_ID_OCTETS)
		return 0;
	if (data[0] > 0) {
		layout.scheme = CID_LAYOUT_ID;
		layout.lbcid =
			(struct lbcid_config){ .scheme = LBCID_NODE_ID, .length = LBCID_MAX_OCTETS, .size = data[0] };
	}
	if (!steering_read(&said, &layout, data + 1, len - 1, unknown))
		require(unknown[0] && !said.down && !said.admin && said.percent == 100 && !said.id_count);
	require(said.percent <= 100 && said.admin <= BACKEND_MAINT);
	require(memchr(unknown, '\0', sizeof unknown) != NULL);
	for (const char *c = unknown; *c; c++)
		require(*c > ' ' && *c < 0x7f);
	check_ids(&said, &layout);
	check_first_line(&said, &layout, data + 1, len - 1);
	return 0;
}
