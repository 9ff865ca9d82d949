#include "health/probe_cid.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "common/hex.h"

enum { ID_TEXT_OCTETS = 2 + HEX_TEXT_OCTETS(LBCID_MAX_ID_OCTETS), NUMBER_OCTETS = 4 };

/* As operators write it: a short one is a number. */
static const char *format_id(const struct server_id *id, char text[static ID_TEXT_OCTETS])
{
	unsigned long number = 0;

	if (id->len > NUMBER_OCTETS) {
		strcpy(text, "0x");
		hex_write(text + 2, ID_TEXT_OCTETS - 2, id->octets, id->len);
		return text;
	}
	for (size_t i = 0; i < id->len; i++)
		number = number << 8 | id->octets[i];
	snprintf(text, ID_TEXT_OCTETS, "%lu", number);
	return text;
}

__attribute__((format(printf, 2, 3))) static void find_bad(struct health_findings *findings, const char *format, ...)
{
	va_list args;

	findings->cid = FINDING_BAD;
	va_start(args, format);
	vsnprintf(findings->cid_reason, sizeof findings->cid_reason, format, args);
	va_end(args);
}

void probe_cid_judge(struct health_findings *findings, const struct health_target *spec, const uint8_t *cid, size_t len)
{
	const struct cid_layout *layout = &spec->layout;
	char there[ID_TEXT_OCTETS], wanted[ID_TEXT_OCTETS];
	struct server_id id = { 0 };

	findings->cid = FINDING_UNKNOWN;
	findings->cid_reason[0] = '\0';
	if (layout->scheme == CID_LAYOUT_NONE)
		return;
	if (len == 0) {
		if (layout->scheme == CID_LAYOUT_LEARNED)
			find_bad(findings, "none");
		else
			find_bad(findings, "none, configured length %u", layout->length);
		return;
	}
	if (layout->scheme != CID_LAYOUT_LEARNED && len != cid_length(layout, cid[0])) {
		find_bad(findings, "length %zu, configured %u", len, cid_length(layout, cid[0]));
		return;
	}
	findings->cid = FINDING_GOOD;
	if (layout->scheme != CID_LAYOUT_ID || !spec->has_id)
		return;
	if (cid_open_octets(&id, layout, cid, len) != CID_OPENED)
		find_bad(findings, "rotation %d, which is not configured", cid[0] >> 5);
	else if (id.len != spec->id.len || memcmp(id.octets, spec->id.octets, id.len) != 0)
		find_bad(findings, "id %s, configured %s", format_id(&id, there), format_id(&spec->id, wanted));
}
