#include "ctl/commands.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/spelling.h"
#include "common/plural.h"
#include "ctl/help.h"

enum {
	WORDS_OCTETS = 64, /* of a command, as they are shown again */
	NEAR = 2,          /* so many letters are wrong in a command that may have been meant */
};

bool commands_begins(const struct ctl_command *command, const char *word)
{
	const size_t len = strcspn(command->name, " ");

	return strlen(word) == len && strncmp(word, command->name, len) == 0;
}

int commands_match(const struct ctl_command *command, int count, char **words)
{
	const char *space = strchr(command->name, ' ');

	if (count < (space ? 2 : 1) || !commands_begins(command, words[0]))
		return 0;
	if (!space)
		return 1;
	return strcmp(words[1], space + 1) == 0 ? 2 : 0;
}

/* The first of these options, as it is written. */
static const char *option_name(unsigned options)
{
	return ctl_options[ffs((int)options) - 1].name;
}

/* "--cid or --from" */
static void print_options(unsigned options, FILE *out)
{
	for (const char *between = ""; options; options &= options - 1, between = " or ")
		fprintf(out, "%s%s", between, option_name(options));
}

static bool fits(const struct ctl_command *command, int arguments)
{
	return arguments >= command->arguments && arguments <= command->arguments + command->optional;
}

static void print_arguments(const struct ctl_command *command, int arguments)
{
	const int most = command->arguments + command->optional;

	if (most == 0)
		fprintf(stderr, "takes no argument\n");
	else
		fprintf(stderr, "takes %s%d argument%s, not %d\n", command->optional ? "at most " : "", most,
			PLURAL(most), arguments);
}

/* What is wrong with the words behind the name, or with the options, said in one line. False: nothing is. */
static bool is_misused(const struct ctl_command *command, int arguments, unsigned options)
{
	const unsigned strange = options & ~(command->takes | command->needs);
	const unsigned exclusive = options & command->excludes;

	if (fits(command, arguments) && !strange && (!command->needs || options & command->needs) &&
	    !(exclusive & (exclusive - 1)))
		return false;
	fprintf(stderr, "cidlbctl: %s ", command->name);
	if (!fits(command, arguments)) {
		print_arguments(command, arguments);
	} else if (strange) {
		fprintf(stderr, "takes no %s\n", option_name(strange));
	} else {
		fputs(exclusive ? "takes either " : "needs ", stderr);
		print_options(exclusive ? exclusive : command->needs, stderr);
		fputs(exclusive ? ", not both\n" : "\n", stderr);
	}
	fputs("usage: cidlbctl ", stderr);
	help_print_synopsis(command, stderr);
	return true;
}

/* How far the words are from the name of `command`. `text` becomes what was compared with it. */
static size_t distance(char text[static WORDS_OCTETS], const struct ctl_command *command, char **words)
{
	const char *space = strchr(command->name, ' ');

	snprintf(text, WORDS_OCTETS, "%s%s%s", words[0], space && words[1] ? " " : "",
		 space && words[1] ? words[1] : "");
	if (space && strcmp(words[0], space + 1) == 0)
		return 0;
	/* Half a word stands for the whole. */
	if (*text && strncmp(command->name, text, strlen(text)) == 0)
		return 1;
	return spelling_distance(command->name, text);
}

void commands_print_unknown(char **words)
{
	const struct ctl_command *nearest = NULL;
	char text[WORDS_OCTETS];
	size_t least = NEAR + 1;

	for (size_t i = 0; i < ctl_command_count; i++) {
		const size_t here = distance(text, &ctl_commands[i], words);

		if (here < least) {
			nearest = &ctl_commands[i];
			least = here;
		}
	}
	if (nearest && least > 0)
		(void)distance(text, nearest, words);
	else
		snprintf(text, sizeof text, "%s", words[0]);
	fprintf(stderr, "cidlbctl: no command '%s'", text);
	if (nearest)
		fprintf(stderr, "; did you mean %s?", nearest->name);
	fputs("\n`cidlbctl --help` lists them\n", stderr);
}

enum ctl_exit commands_run(int count, char **words, const struct ctl_options *options)
{
	if (count == 0) {
		help_print_usage(stderr);
		return CTL_USAGE;
	}
	for (size_t i = 0; i < ctl_command_count; i++) {
		const struct ctl_command *command = &ctl_commands[i];
		const int name = commands_match(command, count, words);

		if (name == 0)
			continue;
		if (is_misused(command, count - name, ctl_options_given(options)))
			return CTL_USAGE;
		return command->run(words + name - 1, options);
	}
	commands_print_unknown(words);
	return CTL_USAGE;
}
