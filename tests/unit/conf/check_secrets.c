/* No key of a configuration is left anywhere in the memory of the process once it was read, and freed again.
 *
 * Neither is it in the test's own: what is looked for is made digit by digit where it is compared or written.
 */
#include "tests/fixtures/conf_fixture.h"
#include "tests/unit/suite.h"

enum {
	DIGITS = 32,
	HALF = DIGITS / 2, /* the beginning of what was freed may be overwritten: each half counts */
	PAD_OCTETS = 200 << 10,
	REGION_MAX_OCTETS = 64 << 20, /* larger ones are a sanitizer's own */
};

static unsigned nibble(unsigned key, size_t i)
{
	uint32_t x = (key + 1) * 0x9e3779b9u + (uint32_t)i * 0x85ebca6bu;

	x ^= x >> 15;
	x *= 0x2c1b3c6du;
	return (x ^ x >> 13) >> 16 & 15;
}

static char digit(unsigned key, size_t i)
{
	return "0123456789abcdef"[nibble(key, i)];
}

static uint8_t octet(unsigned key, size_t i)
{
	return (uint8_t)(nibble(key, 2 * i) << 4 | nibble(key, 2 * i + 1));
}

/* Of either half of a key, as digits and as octets. */
__attribute__((no_sanitize("address", "undefined", "thread"))) static bool is_at(const volatile uint8_t *at,
										 size_t room, unsigned key)
{
	for (size_t half = 0; half < DIGITS; half += HALF) {
		size_t i = 0;

		while (i < HALF && i < room && at[i] == (uint8_t)digit(key, half + i))
			i++;
		if (i == HALF)
			return true;
		for (i = 0; i < HALF / 2 && i < room && at[i] == octet(key, half / 2 + i);)
			i++;
		if (i == HALF / 2)
			return true;
	}
	return false;
}

/* What is between two addresses. By the first octet of each, first: most places end there. */
__attribute__((no_sanitize("address", "undefined", "thread"))) static bool
region_has(const volatile uint8_t *at, const volatile uint8_t *end, unsigned keys)
{
	bool first[256] = { false };

	for (unsigned key = 0; key < keys; key++)
		for (size_t half = 0; half < DIGITS; half += HALF)
			first[(uint8_t)digit(key, half)] = first[octet(key, half / 2)] = true;
	for (; at < end; at++)
		for (unsigned key = 0; first[*at] && key < keys; key++)
			if (is_at(at, (size_t)(end - at), key))
				return true;
	return false;
}

/* The line of /proc/self/maps of the first readable and writable memory that has one of the keys 0..keys-1; NULL: none
 * has. */
static const char *memory_has(unsigned keys)
{
	static char maps[1 << 16];
	size_t len = 0;
	ssize_t n;
	int fd = open("/proc/self/maps", O_RDONLY | O_CLOEXEC);

	ck_assert_int_ge(fd, 0);
	while ((n = read(fd, maps + len, sizeof maps - 1 - len)) > 0)
		len += (size_t)n;
	close(fd);
	ck_assert_uint_lt(len, sizeof maps - 1);
	maps[len] = '\0';
	for (char *line = strtok(maps, "\n"); line; line = strtok(NULL, "\n")) {
		unsigned long from, to;
		char mode[5];

		ck_assert_int_eq(sscanf(line, "%lx-%lx %4s", &from, &to, mode), 3);
		if (strncmp(mode, "rw", 2) != 0 || to - from > REGION_MAX_OCTETS || strstr(line, "[v"))
			continue;
		if (region_has((const uint8_t *)from, (const uint8_t *)to, keys))
			return line;
	}
	return NULL;
}

/* A '$' in `text` stands for a key: $0 .. $9 for all of its digits, $0< and $0> for its halves. */
static size_t fill(char *out, const char *text)
{
	size_t len = 0;

	for (; *text; text++) {
		if (*text != '$') {
			out[len++] = *text;
			continue;
		}
		const unsigned key = (unsigned)(*++text - '0');
		const bool tail = text[1] == '>', head = text[1] == '<';
		for (size_t i = tail ? HALF : 0; i < (head ? HALF : DIGITS); i++)
			out[len++] = digit(key, i);
		text += tail || head;
	}
	return len;
}

static void file_write(const char *name, mode_t mode, const char *text, size_t pad)
{
	static char out[PAD_OCTETS + 8192];
	size_t len = fill(out, text);
	int fd;

	/* Few long comments: a sanitizer that checks strings strictly reads all that follows at each. */
	for (size_t i = 0; i < pad; i++)
		out[len++] = i % 10000 == 9999 ? '\n' : '#';
	unlink(name);
	fd = open(name, O_WRONLY | O_CREAT | O_EXCL, 0600);
	give(name);
	ck_assert_int_eq(fchmod(fd, mode), 0);
	ck_assert_int_eq(write(fd, out, len), (ssize_t)len);
	ck_assert_int_eq(close(fd), 0);
	explicit_bzero(out, sizeof out);
}

#define TOP  "user = \"nobody\"; state_file = \"\"; admin = { socket = \"\"; };\n"
#define KEYS "hash_key = \"$0\"; hash_key_previous = \"$1\";\n"
#define LISTENERS                                                                                                      \
	"listeners = ( { name = \"l\"; address = \"127.0.0.1:5684\"; pool = \"p\"; }, { name = \"m\"; address = "      \
	"\"127.0.0.1:5685\"; pool "                                                                                    \
	"= \"q\"; } );\n"
#define TUNNEL(a, b)                                                                                                   \
	"{ name = \"p\"; protocol = \"udp\"; forward = \"tunnel\"; tunnel = { local = \"127.0.0.1:7200\"; keys = ( { " \
	"id = 1; key = " a "; }, { id = 2; key = " b "; } ); };\n"                                                     \
	"backends = ( { name = \"a\"; address = \"127.0.0.1:6001\"; } ); }"
#define QUIC_LB(key, psk)                                                                                              \
	"{ name = \"q\"; cid = { scheme = \"quic-lb\"; configs = ( { rotation = 0; server_id_length = 2; "             \
	"nonce_length = 6; key = " key                                                                                 \
	"; } ); };\nhealth = { probe = \"coaps\"; psk_identity = \"$6\"; psk_key = " psk "; };\n"                      \
	"backends = ( { name = \"b\"; id = \"0001\"; address = \"127.0.0.1:6002\"; } ); }"
#define POOLS "pools = ( " TUNNEL("\"$2\"", "\"$3\"") ", " QUIC_LB("\"$4\"", "\"$5\"") " );\n"
#define ALL   TOP KEYS LISTENERS POOLS

static const struct {
	const char *text;
	bool good;
} files[] = {
	{ ALL, true },
	{ "# hash_key = \"$7\";\n" ALL "/* \"$8\" */ // $9", true },
	{ TOP "hash_key = \"$0<\" /* $7 */ \"$0>\"; hash_key_previous = \"$1<\"\n# $8\n\"$1>\";\n" LISTENERS POOLS,
	  true },
	{ TOP "hash_key : \"$0 \\n\"; hash_key_previous = \"\\x61$1>\" \"$1<\";\n" LISTENERS POOLS, false },
	/* Refused for a key. */
	{ TOP "hash_key = \"$0g\"; hash_key_previous = \"$1$7\";\n" LISTENERS
	      "pools = ( " TUNNEL("\"$2<\"", "\"=$3\"") ", " QUIC_LB("\" $4\"", "\"$5$8$9\"") " );\n",
	  false },
	{ TOP "hash_key = \"$0\"; hash_key_previous = \"$0\";\n" LISTENERS POOLS, false },
	{ TOP KEYS LISTENERS
	  "pools = ( " TUNNEL("\"$2\"", "[ \"$3\" ]") ", " QUIC_LB("{ key = \"$4\"; }", "\"$5\"") " );\n",
	  false },
	/* Refused for something else. */
	{ ALL "hash_keys = \"$7\"; \n", false },
	{ ALL "hash_key = \"$0\";\n", false },
	{ ALL "@include \"$7\"\n", false },
	{ "@include \"$7\"\n" ALL, false },
	/* Refused for the syntax: at the key, before and behind it. */
	{ ALL "{", false },
	{ ALL "hash = \"$7", false },
	{ ALL "x = \"\\", false },
	{ "=" ALL, false },
	{ ALL "more \"$7\";\n", false },
	{ ALL "more = $7;\n", false },
	{ ALL "more = x$7; less = 12$8; and = 1.5e$9;\n", false },
	{ ALL "more = $0 $1 $2 $3 $4 $5 $6 $7 $8 $9;\n", false },
};

static void expect_nothing_left(const char *text, mode_t mode, size_t pad, int good)
{
	struct conf_report report;
	const char *where;

	file_write(FILE_NAME, mode, text, pad);
	where = memory_has(10);
	ck_assert_msg(!where, "before it was read: %s", where);
	struct conf *conf = conf_load(FILE_NAME, &report);
	ck_assert_msg(good < 0 || good == (conf != NULL), "%s", join_lines(report.errors, report.error_count));
	conf_free(conf);
	where = memory_has(10);
	ck_assert_msg(!where, "left in %s", where);
	conf_report_free(&report);
}

START_TEST(small)
{
	expect_nothing_left(files[_i].text, 0600, 0, files[_i].good);
}
END_TEST

START_TEST(large)
{
	expect_nothing_left(files[_i].text, 0600, PAD_OCTETS, files[_i].good);
}
END_TEST

START_TEST(others_can_read_it)
{
	expect_nothing_left(ALL, 0644, 0, false);
}
END_TEST

START_TEST(key_file)
{
	for (int good = 0; good < 2; good++) {
		file_write("k.key", 0600, good ? "$5\n" : "$5$7$8\n", 0);
		expect_nothing_left(TOP KEYS LISTENERS "pools = ( " TUNNEL("\"$2\"", "\"$3\"") ", " QUIC_LB(
					    "\"$4\"", "\"@k.key\"") " );\n",
				    0600, 0, good);
	}
}
END_TEST

/* Where it can be, and the test sees it: in a running configuration as octets, and as text in what is freed. */
START_TEST(it_would_be_found)
{
	struct conf_report report;
	char *text = malloc(PAD_OCTETS);

	file_write(FILE_NAME, 0600, ALL, 0);
	ck_assert_ptr_null(memory_has(10));
	struct conf *conf = conf_load(FILE_NAME, &report);
	ck_assert_ptr_nonnull(memory_has(1));
	conf_free(conf);
	conf_report_free(&report);
	ck_assert_ptr_null(memory_has(10));
	(void)fill(text, "no key, and no key, and then $9 and so on");
	__asm__ volatile("" : : "r"(text) : "memory"); /* a compiler sees nobody read it */
	ck_assert_ptr_null(memory_has(9));
	ck_assert_ptr_nonnull(memory_has(10));
	free(text);
}
END_TEST

void suite(TCase *tests)
{
	tcase_add_checked_fixture(tests, conf_dir_enter, conf_dir_leave);
	tcase_set_timeout(tests, 60);
	tcase_add_loop_test(tests, small, 0, COUNT_OF(files));
	tcase_add_loop_test(tests, large, 0, COUNT_OF(files));
	tcase_add_test(tests, others_can_read_it);
	tcase_add_test(tests, key_file);
	tcase_add_test(tests, it_would_be_found);
}
