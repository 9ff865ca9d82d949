#include "ctl/device.h"

#include <string.h>

#include "ctl/live.h"

enum { ANSWER_S = 10 };

/* Hex has neither. */
static bool is_address(const char *text)
{
	return strpbrk(text, ".:") != NULL;
}

enum ctl_exit device_run(char **words, const struct ctl_options *options)
{
	json_t *request = json_pack("{s:s, s:s}", "command", "device", is_address(words[1]) ? "from" : "cid", words[1]);
	FILE *stream = live_dial(options->socket, ANSWER_S);
	json_t *answer = stream ? live_ask(stream, request) : NULL;
	const bool good = json_is_true(json_object_get(answer, "ok"));

	if (good && options->json) {
		json_dumpf(answer, stdout, JSON_INDENT(2) | JSON_ENSURE_ASCII);
		fputc('\n', stdout);
	} else if (good) {
		device_print(answer, words[1], stdout);
	} else if (answer) {
		live_print_refusal(answer);
	}
	json_decref(request);
	json_decref(answer);
	if (stream)
		fclose(stream);
	return good && fflush(stdout) == 0 ? CTL_OK : CTL_REFUSED;
}
