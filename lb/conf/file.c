#include "conf/conf.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/pages.h"
#include "conf/read.h"

enum {
	TREE_OCTETS = 1 << 20,
	TREE_OCTETS_PER_CHARACTER = 256, /* a list in a list */
	STACK_OCTETS = 64 << 10,         /* more than a file takes */
};

/* Where memory is short, libconfig ends the process or touches what it could not have. So more than it takes of any
 * text is held for a moment first. False: there is not so much. */
static bool tree_has_memory(const char *text)
{
	const size_t octets = TREE_OCTETS + TREE_OCTETS_PER_CHARACTER * strlen(text);
	void *pages = pages_take(octets);

	pages_return(pages, octets);
	return pages;
}

static void report_syntax(struct conf_reader *reader, const struct conf_source *source, const config_t *tree)
{
	const char *what = config_error_text(tree);
	const int line = config_error_line(tree);
	const char *hint = strcmp(what, "syntax error") == 0 ? conf_text_hint(source->text, line) : NULL;

	conf_error_line(reader, line, "%s%s%s", what, hint ? ": " : "", hint ? hint : "");
}

static void tree_read(struct conf_reader *reader, const struct conf_source *source, const char *rewritten,
		      const struct conf_machine *machine)
{
	config_t tree;

	config_init(&tree);
	if (config_read_string(&tree, rewritten)) {
		conf_root_read(reader, config_root_setting(&tree));
		conf_root_check(reader, config_root_setting(&tree), machine);
	} else {
		report_syntax(reader, source, &tree);
	}
	config_destroy(&tree);
}

struct conf *conf_parse(const struct conf_source *source, const struct conf_machine *machine,
			struct conf_report *report)
{
	struct conf *conf = calloc(1, sizeof *conf);
	struct conf_reader reader = {
		.file = source->file, .access = source->access, .conf = conf, .report = report, .machine = machine
	};
	int include_line = 0;
	char *rewritten = conf_text_rewrite(source->text, &reader.strings, &include_line);

	if (!conf || !rewritten || !(conf->file = strdup(source->file)) || !tree_has_memory(source->text))
		reader.no_memory = true;
	else if (include_line)
		conf_error_line(&reader, include_line, "@include is not supported; put everything into one file");
	else
		tree_read(&reader, source, rewritten, machine);
	free(rewritten);
	conf_strings_free(&reader.strings);
	if (reader.no_memory)
		conf_error_line(&reader, 1, "out of memory");
	if (!report->error_count && !reader.no_memory)
		return conf;
	conf_free(conf);
	return NULL;
}

/* Wipes what functions have left on the stack, those of libraries, too. Vector registers are saved there when a symbol
 * is bound. */
__attribute__((noinline)) static void wipe_stack(void)
{
	char left[STACK_OCTETS];

	explicit_bzero(left, sizeof left);
}

struct conf *conf_load_on(const struct conf_machine *machine, const char *file, struct conf_report *report)
{
	struct conf_reader reader = { .file = file, .report = report };
	struct conf *conf = NULL;
	struct conf_access access;
	char *text;

	*report = (struct conf_report){ 0 };
	const int err = conf_text_read(file, &text, &access);
	if (err == -EILSEQ) {
		conf_error_line(&reader, 1, "not a text file; accepted: UTF-8, as editors save it by default");
	} else if (err) {
		conf_error_line(&reader, 1, "%s", strerror(-err));
	} else {
		conf = conf_parse(&(struct conf_source){ file, text, access }, machine, report);
		conf_text_free(text, strlen(text));
	}
	wipe_stack();
	return conf;
}

struct conf *conf_load(const char *file, struct conf_report *report)
{
	const struct conf_machine here = conf_machine_here();

	return conf_load_on(&here, file, report);
}

/* `secret` has keys in it, or is NULL. */
static void free_wiped(void *secret, size_t octets)
{
	if (secret)
		explicit_bzero(secret, octets);
	free(secret);
}

void conf_free(struct conf *conf)
{
	if (!conf)
		return;
	for (size_t i = 0; i < conf->pool_count; i++) {
		struct conf_pool *pool = &conf->pools[i];
		for (size_t j = 0; j < pool->backend_count; j++) {
			free(pool->backends[j].name);
			free(pool->backends[j].host);
			free(pool->backends[j].may_claim);
		}
		free(pool->backends);
		cid_layout_drop(&pool->layout);
		free(pool->health.path);
		if (pool->health.psk_identity)
			free_wiped(pool->health.psk_identity, strlen(pool->health.psk_identity));
		free(pool->name);
	}
	for (size_t i = 0; i < conf->listener_count; i++)
		free(conf->listeners[i].name);
	free_wiped(conf->pools, conf->pool_count * sizeof *conf->pools);
	free(conf->listeners);
	free(conf->user);
	for (size_t i = 0; i < conf->host_count; i++)
		free(conf->hosts[i]);
	free(conf->hosts);
	free(conf->socket);
	free(conf->state_file);
	free(conf->redis.user);
	free(conf->redis.prefix);
	free(conf->file);
	free_wiped(conf, sizeof *conf);
}
