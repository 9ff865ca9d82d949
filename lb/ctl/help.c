#include "ctl/help.h"

#include <string.h>

#include "ctl/commands.h"

enum {
	OTHERS_COLUMN = 34, /* of the options that many commands take, where there is room */
	HELP_COLUMN = 10,   /* of what a command does */
	OPTION_COLUMN = 25, /* of what an option does */
};

static const char exits[] =
	"Exit status: 0 done, 1 refused or no cidlb answers, 2 wrong usage, 3 --timeout has passed, 4 "
	"in force, but\nit will not survive a restart.\n";

static bool same_text(const char *a, const char *b)
{
	return a == b || (a && b && strcmp(a, b) == 0);
}

/* Whether two commands share a line of the synopsis. */
static bool is_alike(const struct ctl_command *a, const struct ctl_command *b)
{
	return a->others && same_text(a->others, b->others) && same_text(a->synopsis, b->synopsis);
}

static bool is_first_of_its_line(size_t at)
{
	for (size_t i = 0; i < at; i++)
		if (is_alike(&ctl_commands[i], &ctl_commands[at]))
			return false;
	return true;
}

/* What stands behind the names, which ended at `column`. */
static void print_rest(const struct ctl_command *command, int column, FILE *out)
{
	if (command->synopsis)
		column += fprintf(out, " %s", command->synopsis);
	if (command->others)
		fprintf(out, "%*s %s", column < OTHERS_COLUMN ? OTHERS_COLUMN - column : 0, "", command->others);
	fputc('\n', out);
}

void help_print_synopsis(const struct ctl_command *command, FILE *out)
{
	print_rest(command, fprintf(out, "%s", command->name), out);
}

/* Of a command, and of those that are alike. */
static void print_synopses(size_t at, FILE *out)
{
	int column = fprintf(out, "%s", ctl_commands[at].name);

	for (size_t i = at + 1; i < ctl_command_count; i++)
		if (is_alike(&ctl_commands[at], &ctl_commands[i]))
			column += fprintf(out, " | %s", ctl_commands[i].name);
	print_rest(&ctl_commands[at], column, out);
}

static void print_help(const struct ctl_command *command, FILE *out)
{
	int column = fprintf(out, "%s", command->name);

	for (const char *line = command->help; *line;) {
		const size_t len = strcspn(line, "\n");

		fprintf(out, "%*s%.*s\n", HELP_COLUMN > column ? HELP_COLUMN - column : 1, "", (int)len, line);
		column = 0;
		line += len + (line[len] == '\n');
	}
}

/* "  -c, --config FILE      configuration (default /etc/cidlb/cidlb.conf)" */
static void print_option(const struct ctl_option *option, FILE *out)
{
	const char letter[] = { '-', option->letter, ',', '\0' };
	const int column = fprintf(out, "  %3s %s%s%s", option->letter ? letter : "", option->name,
				   option->argument ? " " : "", option->argument ? option->argument : "");

	fprintf(out, "%*s%s\n", column < OPTION_COLUMN ? OPTION_COLUMN - column : 1, "", option->help);
}

static void print_options(unsigned set, FILE *out)
{
	for (size_t i = 0; i < CTL_OPTIONS; i++)
		if (set & 1u << i)
			print_option(&ctl_options[i], out);
}

void help_print_usage(FILE *out)
{
	for (size_t i = 0; i < ctl_command_count; i++) {
		if (!is_first_of_its_line(i))
			continue;
		fputs(i == 0 ? "usage: cidlbctl " : "       cidlbctl ", out);
		print_synopses(i, out);
	}
	fputs("       cidlbctl -V | --help\n\n", out);
	for (size_t i = 0; i < ctl_command_count; i++)
		print_help(&ctl_commands[i], out);
	fputc('\n', out);
	print_options((1u << CTL_OPTIONS) - 1, out);
	fprintf(out, "\n%s", exits);
}

/* What there is to know of one command. */
static void print_command(const struct ctl_command *command, FILE *out)
{
	fputs("usage: cidlbctl ", out);
	help_print_synopsis(command, out);
	fputc('\n', out);
	print_help(command, out);
	fputc('\n', out);
	print_options(ctl_command_takes(command) | 1u << CTL_HELP, out);
	fprintf(out, "\n%s", exits);
}

enum ctl_exit help_print(int count, char **words)
{
	bool any = false;

	if (count == 0) {
		help_print_usage(stdout);
		return fflush(stdout) == 0 ? CTL_OK : CTL_REFUSED;
	}
	for (size_t i = 0; i < ctl_command_count; i++) {
		/* `help cid` is for all whose first word that is. */
		if (commands_match(&ctl_commands[i], count, words) == 0 &&
		    !(count == 1 && commands_begins(&ctl_commands[i], words[0])))
			continue;
		if (any)
			fputc('\n', stdout);
		print_command(&ctl_commands[i], stdout);
		any = true;
	}
	if (!any) {
		commands_print_unknown(words);
		return CTL_USAGE;
	}
	return fflush(stdout) == 0 ? CTL_OK : CTL_REFUSED;
}

enum ctl_exit help_run(char **words, const struct ctl_options *options)
{
	int count = 0;

	(void)options;
	while (words[1 + count])
		count++;
	return help_print(count, words + 1);
}
