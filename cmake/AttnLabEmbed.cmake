# attnlab_embed(OUTPUT FILE...): texts as entries of an array, `{"name", R"(...)"},`, to be included in its braces.
# Made anew when one of the files changes; left alone when none did.
function(attnlab_embed output)
  set(entries "")
  foreach(file IN LISTS ARGN)
    file(READ ${file} text)
    cmake_path(GET file FILENAME name)
    string(APPEND entries "{\"${name}\", R\"attnlab(${text})attnlab\"},\n")
  endforeach()
  set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${ARGN})
  file(CONFIGURE OUTPUT ${output} CONTENT "@entries@" @ONLY)
endfunction()
