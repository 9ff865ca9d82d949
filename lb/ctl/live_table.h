/* Tables of an answer's objects, and the words in them. */
#ifndef CIDLB_CTL_LIVE_TABLE_H
#define CIDLB_CTL_LIVE_TABLE_H

#include <stdio.h>

#include <jansson.h>

enum { LIVE_CELL_OCTETS = 128, LIVE_COLUMNS_MAX = 16 };

/* A column shows the member `key`, or its member `sub`, of every object of a list. A column that no object has is left
 * out. */
struct live_column {
	const char *title, *key, *sub;
};

/* `count` is at most LIVE_COLUMNS_MAX. The member "notes" of an object is a list of texts, which go below it, a line
 * each. */
void live_table_print(FILE *out, const json_t *rows, const struct live_column *columns, size_t count);

#define LIVE_TABLE_PRINT(out, rows, columns) live_table_print(out, rows, columns, sizeof(columns) / sizeof(columns)[0])

/* Adds a note to `row`. Notes keep their order. */
void live_note(json_t *row, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* A value as a cell has it; "-": none. */
const char *live_cell(char text[static LIVE_CELL_OCTETS], const json_t *value);

/* 0 and "-" where there is none. */
json_int_t live_number(const json_t *object, const char *key);
const char *live_text(const json_t *object, const char *key);

/* In the largest unit that it fills: "8 MiB", "212 KiB". */
const char *live_octets(char text[static LIVE_CELL_OCTETS], json_int_t octets);

/* In its largest unit: "59 s", "3 h". */
const char *live_age(char text[static LIVE_CELL_OCTETS], json_int_t s);

#endif
