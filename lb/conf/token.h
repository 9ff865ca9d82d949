/* libconfig's tokens, as its scanner takes them. Pure. */
#ifndef CIDLB_CONF_TOKEN_H
#define CIDLB_CONF_TOKEN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TOKEN_BLANKS " \t\r\n\f"

/* Each of these returns how many octets its kind of token takes at `at`. 0: there is none. */
size_t token_string(const char *at, bool *ends); /* *ends: it does before the file does */
size_t token_comment(const char *at);
size_t token_name(const char *at);
size_t token_float(const char *at);
size_t token_integer(const char *at, int64_t *value);

/* Whether the name before `at` is that of a setting. */
bool token_is_set(const char *at);

/* Whether the `n` octets at `at` are `word`, in small letters or not. */
bool token_is_word(const char *at, size_t n, const char *word);

#endif
