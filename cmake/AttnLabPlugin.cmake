# The whole build interface of a plugin, in the tree and outside it:
#   attnlab_add_plugin(NAME SOURCES file.cpp ...)

# Digests the headers of an SDK into a header that the stamp of a plugin is made from. At configure time, and again
# whenever one of the headers changes: a plugin that was built against other headers is so never taken for a fresh one.
function(attnlab_fingerprint sdk_dir output)
  file(GLOB headers CONFIGURE_DEPENDS ${sdk_dir}/attnlab/*.h)
  list(FILTER headers EXCLUDE REGEX "/fingerprint\\.h$")
  list(SORT headers)
  set(digests "")
  foreach(header IN LISTS headers)
    file(SHA256 ${header} digest)
    get_filename_component(name ${header} NAME)
    string(APPEND digests "${name} ${digest}\n")
  endforeach()
  set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${headers})
  string(SHA256 digest "${digests}")
  string(SUBSTRING ${digest} 0 16 fingerprint)
  set(content "// Made by CMake from the SDK headers beside it.
#pragma once
#define ATTNLAB_SDK_VERSION \"${AttnLab_VERSION}\"
#define ATTNLAB_SDK_FINGERPRINT \"${fingerprint}\"
#define ATTNLAB_TOOLCHAIN \"${ATTNLAB_TOOLCHAIN}\"
#define ATTNLAB_ISA \"${ATTNLAB_ISA}\"
")
  file(CONFIGURE OUTPUT ${output} CONTENT "${content}" @ONLY)
endfunction()

set(_attnlab_version_script ${CMAKE_CURRENT_LIST_DIR}/plugin.map)

function(attnlab_add_plugin name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "OUTPUT_DIRECTORY" "SOURCES")
  if(NOT arg_SOURCES)
    message(FATAL_ERROR "attnlab_add_plugin(${name}): SOURCES is missing")
  endif()
  add_library(${name} MODULE ${arg_SOURCES})
  target_link_libraries(${name} PRIVATE attnlab::sdk)
  target_compile_options(${name} PRIVATE $<$<CONFIG:Release,RelWithDebInfo>:-O3>)
  target_link_options(${name} PRIVATE LINKER:--version-script=${_attnlab_version_script})
  if(NOT ATTNLAB_SANITIZE)  # a sanitizer's own symbols come from the program
    target_link_options(${name} PRIVATE LINKER:-z,defs)
  endif()
  set_property(TARGET ${name} APPEND PROPERTY LINK_DEPENDS ${_attnlab_version_script})
  if(NOT arg_OUTPUT_DIRECTORY)
    set(arg_OUTPUT_DIRECTORY ${ATTNLAB_PLUGIN_DIR})
    if(NOT arg_OUTPUT_DIRECTORY)
      set(arg_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/plugins)
    endif()
  endif()
  set_target_properties(${name} PROPERTIES PREFIX "" CXX_STANDARD 20 CXX_VISIBILITY_PRESET hidden
    VISIBILITY_INLINES_HIDDEN ON LIBRARY_OUTPUT_DIRECTORY ${arg_OUTPUT_DIRECTORY})
endfunction()
