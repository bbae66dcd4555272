# What a page of the HTML report is made of, as a C++ source: the style sheet, the charts library and the scripts.
#
# embed_page(SOURCE FILE...): makes SOURCE, which defines the assets that page/assets.hpp declares. Each FILE is NAME=PATH.
# This file is also the script that does it, when the build runs.

function(embed_page source)
  set(files)
  foreach(asset ${ARGN})
    string(REGEX REPLACE "^[^=]*=" "" file ${asset})
    list(APPEND files ${file})
  endforeach()
  add_custom_command(
    OUTPUT ${source}
    COMMAND ${CMAKE_COMMAND} -DOUTPUT=${source} "-DASSETS=${ARGN}" -P ${CMAKE_CURRENT_FUNCTION_LIST_FILE}
    DEPENDS ${files} ${CMAKE_CURRENT_FUNCTION_LIST_FILE}
    COMMENT "assets of the HTML report"
    VERBATIM)
endfunction()

if(NOT CMAKE_SCRIPT_MODE_FILE)
  return()
endif()

set(text "// Made by tools/cmake/EmbedPage.cmake from files, which are to be changed in its place.\n#include \"page/assets.hpp\"\n\nnamespace vethtrace {\n")
foreach(asset ${ASSETS})
  string(REGEX MATCH "^([^=]*)=(.*)$" all ${asset})
  set(name ${CMAKE_MATCH_1})
  set(file ${CMAKE_MATCH_2})
  file(READ ${file} content)
  # In a page these would end the element that holds the text, and here the literal.
  string(TOLOWER "${content}" lower)
  foreach(forbidden "</script" "</style" "<!--" ")vethtrace\"")
    string(FIND "${lower}" "${forbidden}" found)
    if(NOT found EQUAL -1)
      message(FATAL_ERROR "${file} contains ${forbidden}")
    endif()
  endforeach()
  file(SHA256 ${file} hash)
  string(APPEND text "\nconst Asset ${name} = {R\"vethtrace(${content})vethtrace\",\n    \"${hash}\"};\n")
endforeach()
string(APPEND text "\n} // namespace vethtrace\n")
file(WRITE ${OUTPUT} "${text}")
