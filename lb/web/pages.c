#include "web/pages.h"

/* embed.cmake writes these. */
static const unsigned char html[] = {
#include "dashboard.html.inc"
};
static const unsigned char css[] = {
#include "dashboard.css.inc"
};
static const unsigned char js[] = {
#include "dashboard.js.inc"
};
static const unsigned char samples[] = {
#include "samples.js.inc"
};
static const unsigned char words[] = {
#include "words.js.inc"
};
static const unsigned char icon[] = {
#include "icon.svg.inc"
};

const struct web_file web_files[WEB_FILES] = {
	{ "/", "text/html; charset=utf-8", html, sizeof html },
	{ "/dashboard.css", "text/css; charset=utf-8", css, sizeof css },
	{ "/dashboard.js", "text/javascript; charset=utf-8", js, sizeof js },
	{ "/samples.js", "text/javascript; charset=utf-8", samples, sizeof samples },
	{ "/words.js", "text/javascript; charset=utf-8", words, sizeof words },
	{ "/icon.svg", "image/svg+xml", icon, sizeof icon },
};
