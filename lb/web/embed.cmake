# cmake -DFILE=… -DOUT=… -P embed.cmake: writes the octets of a file as the inside of an initializer in C.
file(READ "${FILE}" hex HEX)
string(REGEX REPLACE "(................................)" "\\1\n" hex "${hex}")
string(REGEX REPLACE "([0-9a-f][0-9a-f])" "0x\\1," hex "${hex}")
file(WRITE "${OUT}" "${hex}\n")
