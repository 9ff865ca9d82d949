#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "shim/settings.h"
#include "tests/fixtures/octets.h"
#include "tests/unit/suite.h"

#define MAPPED  [10] = 0xff, [11] = 0xff
#define KEY_HEX "000102030405060708090a0b0c0d0e0f"

static const struct addr node = { { MAPPED, 10, 0, 0, 2 }, 7200 };

static char key_path[] = "/tmp/check_settings_XXXXXX";

static void write_key_file(const char *text, size_t len, mode_t mode)
{
	const int fd = open(key_path, O_WRONLY | O_TRUNC);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(write(fd, text, len), (ssize_t)len);
	ck_assert_int_eq(fchmod(fd, mode), 0);
	close(fd);
}

static const struct {
	const char *ports, *nodes, *problem;
	size_t port_count, node_count;
} environments[] = {
	{ "5684", "10.0.0.2:7200", "", 1, 1 },
	{ "5684,5683", "10.0.0.2:7200-7203,[2001:db8::2]:1-65535", "", 2, 2 },
	{ "1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16", "10.0.0.2:7200", "", 16, 1 },
	{ "1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17", "10.0.0.2:7200", "CIDLB_SHIM_PORTS", 0, 0 },
	{ "", "10.0.0.2:7200", "CIDLB_SHIM_PORTS", 0, 0 },
	{ "0", "10.0.0.2:7200", "CIDLB_SHIM_PORTS", 0, 0 },
	{ "65536", "10.0.0.2:7200", "CIDLB_SHIM_PORTS", 0, 0 },
	{ "005684", "10.0.0.2:7200", "CIDLB_SHIM_PORTS", 0, 0 },
	{ "5684,", "10.0.0.2:7200", "CIDLB_SHIM_PORTS", 0, 0 },
	{ ",5684", "10.0.0.2:7200", "CIDLB_SHIM_PORTS", 0, 0 },
	{ "5684 5683", "10.0.0.2:7200", "CIDLB_SHIM_PORTS", 0, 0 },
	{ "5684", NULL, "CIDLB_SHIM_NODES", 0, 0 },
	{ "5684", "", "CIDLB_SHIM_NODES", 0, 0 },
	{ "5684", "10.0.0.2", "CIDLB_SHIM_NODES", 0, 0 },
	{ "5684", "10.0.0.2:7200-", "CIDLB_SHIM_NODES", 0, 0 },
	{ "5684", "10.0.0.2:7200-7199", "CIDLB_SHIM_NODES", 0, 0 },
	{ "5684", "10.0.0.2:7200-65536", "CIDLB_SHIM_NODES", 0, 0 },
	{ "5684", "10.0.0.2:7200,", "CIDLB_SHIM_NODES", 0, 0 },
	{ "5684", "2001:db8::2:7200", "CIDLB_SHIM_NODES", 0, 0 },
	{ "5684", "[2001:db8::2]:7200x", "CIDLB_SHIM_NODES", 0, 0 },
	{ "5684", "[2001:0db8:0000:0000:0000:0000:0000:0000:0000:0000:0002]:7200", "CIDLB_SHIM_NODES", 0, 0 },
};

START_TEST(environment)
{
	struct settings settings;
	char key[sizeof key_path + 1];

	write_key_file("1:" KEY_HEX "\n", 35, 0600);
	snprintf(key, sizeof key, "@%s", key_path);
	settings_read(&settings, environments[_i].ports, key, environments[_i].nodes);
	if (!*environments[_i].problem) {
		ck_assert_str_eq(settings.problem, "");
		ck_assert_uint_eq(settings.port_count, environments[_i].port_count);
		ck_assert_uint_eq(settings.node_count, environments[_i].node_count);
		ck_assert_uint_eq(settings.keys.count, 1);
	} else {
		ck_assert_msg(strncmp(settings.problem, environments[_i].problem, strlen(environments[_i].problem)) ==
				      0,
			      "%s", settings.problem);
	}
	ck_assert(settings.any_port == (strcmp(environments[_i].problem, "CIDLB_SHIM_PORTS") == 0));
}
END_TEST

START_TEST(no_ports_is_no_problem)
{
	struct settings settings;

	settings_read(&settings, NULL, NULL, NULL);
	ck_assert_str_eq(settings.problem, "");
	ck_assert_uint_eq(settings.port_count, 0);
	ck_assert(!settings.any_port);
}
END_TEST

static const struct {
	const char *text;
	size_t len;
	mode_t mode;
	const char *problem; /* part of it; "": none */
} key_files[] = {
	{ "1:" KEY_HEX "\n2:" KEY_HEX "\n", 70, 0640, "" },
	{ "1:" KEY_HEX, 34, 0600, "" },
	{ "1:" KEY_HEX, 34, 0604, "others can access it" },
	{ "1:" KEY_HEX, 34, 0602, "others can access it" },
	{ "1:" KEY_HEX "\0junk", 39, 0600, "not 1..16 different lines" },
	{ "", 0, 0600, "not 1..16 different lines" },
};

START_TEST(key_file)
{
	struct settings settings;
	char key[sizeof key_path + 1];

	write_key_file(key_files[_i].text, key_files[_i].len, key_files[_i].mode);
	snprintf(key, sizeof key, "@%s", key_path);
	settings_read(&settings, "5684", key, "10.0.0.2:7200");
	if (*key_files[_i].problem)
		ck_assert_msg(strstr(settings.problem, key_files[_i].problem), "%s", settings.problem);
	else
		ck_assert_str_eq(settings.problem, "");
}
END_TEST

START_TEST(key_is_a_file)
{
	static const char *const keys[][2] = { { "1:" KEY_HEX, "not @FILE" },
					       { "@/tmp", "not a file" },
					       { "@/nowhere", "No such file" },
					       { "", "not @FILE" } };
	struct settings settings;
	char long_text[1100];

	for (int i = 0; i < COUNT_OF(keys); i++) {
		settings_read(&settings, "5684", keys[i][0], "10.0.0.2:7200");
		ck_assert_msg(strstr(settings.problem, keys[i][1]), "%s", settings.problem);
	}
	memset(long_text, '\n', sizeof long_text);
	memcpy(long_text, "1:" KEY_HEX, 34);
	write_key_file(long_text, sizeof long_text, 0600);
	char key[sizeof key_path + 1];
	snprintf(key, sizeof key, "@%s", key_path);
	settings_read(&settings, "5684", key, "10.0.0.2:7200");
	ck_assert_msg(strstr(settings.problem, "too long"), "%s", settings.problem);
}
END_TEST

START_TEST(ports_and_nodes)
{
	struct settings settings;
	struct addr outer = node;

	settings_read(&settings, "5684,5683", "", "10.0.0.2:7200-7203,[2001:db8::2]:7200");
	ck_assert_int_eq(settings_port(&settings, 5684), 0);
	ck_assert_int_eq(settings_port(&settings, 5683), 1);
	ck_assert_int_eq(settings_port(&settings, 5685), -1);
	for (outer.port = 7199; outer.port <= 7204; outer.port++)
		ck_assert_int_eq(settings_node(&settings, &outer), outer.port >= 7200 && outer.port <= 7203 ? 0 : -1);
	outer = node;
	outer.ip[15]++;
	ck_assert_int_eq(settings_node(&settings, &outer), -1);
	outer = (struct addr){ { 0x20, 0x01, 0x0d, 0xb8, [15] = 2 }, 7200 };
	ck_assert_int_eq(settings_node(&settings, &outer), 1);
	outer.port++;
	ck_assert_int_eq(settings_node(&settings, &outer), -1);
}
END_TEST

static void make_key_file(void)
{
	const int fd = mkstemp(key_path);

	ck_assert_int_ge(fd, 0);
	close(fd);
}

static void remove_key_file(void)
{
	unlink(key_path);
}

void suite(TCase *tests)
{
	tcase_add_unchecked_fixture(tests, make_key_file, remove_key_file);
	tcase_add_loop_test(tests, environment, 0, COUNT_OF(environments));
	tcase_add_test(tests, no_ports_is_no_problem);
	tcase_add_loop_test(tests, key_file, 0, COUNT_OF(key_files));
	tcase_add_test(tests, key_is_a_file);
	tcase_add_test(tests, ports_and_nodes);
}
