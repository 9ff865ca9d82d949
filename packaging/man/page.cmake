# Puts the options into the page: cmake -DAWK= -DSCRIPT= -DCONF= -DIN= -DOUT= -P page.cmake
execute_process(COMMAND ${AWK} -f ${SCRIPT} ${CONF} OUTPUT_VARIABLE OPTIONS RESULT_VARIABLE failed)
if(failed)
	message(FATAL_ERROR "${SCRIPT}: ${failed}")
endif()
string(REGEX REPLACE "\n$" "" OPTIONS "${OPTIONS}")
configure_file(${IN} ${OUT} @ONLY)
