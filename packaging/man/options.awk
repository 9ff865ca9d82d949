# Turns conf/cidlb.conf into the list of options of cidlb.conf(5): each with its place, its value there, and what the
# comments around it say. Options that are commented out count as well.
#
# usage: awk -f options.awk conf/cidlb.conf

function escaped(text)
{
	gsub(/\\/, "\\e", text)
	gsub(/-/, "\\-", text)
	sub(/^[.']/, "\\\\\\&&", text)
	return text
}

function path(name,  i, text)
{
	for (i = 1; i <= depth; i++)
		text = text groups[i] "."
	return text name
}

# A line of a comment. With two blanks or more at its begin it is one of a list, or an example; with still more it goes
# on with the one before.
function say(text,  blanks)
{
	sub(/^#/, "", text)
	match(text, /^ */)
	blanks = RLENGTH
	if (blanks < 2 || blanks <= list + 2 || list == 0) {
		if (blanks >= 2 || list > 0)
			said = said ".br\n"
		list = blanks >= 2 ? blanks : 0
	}
	sub(/^[ \t]+/, "", text)
	gsub(/  +/, " ", text)
	if (text != "")
		said = said escaped(text) "\n"
}

function flush_option()
{
	if (open == "")
		return
	if (said != "" || !is_group)
		printf ".TP\n%s\n%s", open, said == "" ? "\\&\n" : said
	open = said = ""
	list = is_group = 0
}

# What a comment says before its option comes.
function keep(text)
{
	flush_option()
	say(text)
}

function begin_option(name, value, trailing)
{
	if (open != "")
		flush_option()
	open = "\\fB" escaped(path(name)) "\\fR" (value == "" ? "" : " = " escaped(value))
	at = indent
	if (trailing != "")
		say("# " trailing)
}

# Takes a line without its indentation. False: it is no code.
function code(line,  name, value, trailing, end)
{
	if (line ~ /^[})]/) { # the end of a group
		flush_option()
		if (depth > 0)
			depth--
		return 1
	}
	if (line ~ /^\{/ && line !~ /%d/) { # an element of a list
		flush_option()
		printf ".IP\n%s\n", escaped(line)
		return 1
	}
	if (line !~ /^[a-z_]+ = /)
		return 0
	name = line
	sub(/ .*/, "", name)
	value = substr(line, length(name) + 4)
	if (value ~ /^[({]/ && value !~ /[)}];/) {
		begin_option(name, "", "")
		is_group = 1
		flush_option()
		groups[++depth] = name
		return 1
	}
	if (value !~ /;/)
		return 0
	end = value ~ /^[({[]/ ? match(value, /[])}];/) + 1 : index(value, ";")
	trailing = substr(value, end + 1)
	value = substr(value, 1, end - 1)
	sub(/^[ \t#]+/, "", trailing)
	begin_option(name, value, trailing)
	return 1
}

{
	line = $0
	match(line, /^\t*/)
	indent = RLENGTH
	line = substr(line, indent + 1)
	if (line == "") {
		flush_option()
		if (said != "")
			printf "%s%s", began ? ".PP\n" : "", said
		began = 1
		said = ""
		list = 0
		next
	}
	if (line !~ /^#/) {
		code(line)
		next
	}
	if (open != "" && indent > at) { # it goes on
		say(line)
		next
	}
	# In a group that is commented out as a whole, comments are within comments.
	inner = line
	sub(/^#[ \t]*/, "", inner)
	if (open != "" && line ~ /^#\t\t\t+#/) {
		say(inner)
		next
	}
	if (commented && inner ~ /^#/) {
		keep(inner)
		next
	}
	before = depth
	if ((line ~ /^# ?[a-z_}]/ || commented) && code(inner)) {
		commented += depth - before
		next
	}
	keep(line)
}

END {
	flush_option()
}
