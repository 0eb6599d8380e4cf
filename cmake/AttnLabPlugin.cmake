# The whole build interface of a plugin, in the tree and outside it:
#   attnlab_add_plugin(NAME SOURCES file.cpp ... [TEST file.cpp ...])
# Installed with the package, so it stands alone: what it needs beside CMake's own variables are ATTNLAB_ISA and
# ATTNLAB_SANITIZE, from AttnLabToolchain.cmake in the tree and from the package outside it.

# What the compiled code of a plugin and of the program must have in common to be one program.
function(attnlab_toolchain output)
  string(REGEX MATCH "^[0-9]+" major ${CMAKE_CXX_COMPILER_VERSION})
  string(TOLOWER ${CMAKE_CXX_COMPILER_ID} name)
  string(REPLACE gnu gcc name ${name})
  set(toolchain "${name} ${major} libstdc++ cxx11abi=1 c++20")
  if(ATTNLAB_SANITIZE)
    string(APPEND toolchain " san=${ATTNLAB_SANITIZE}")
  endif()
  set(${output} ${toolchain} PARENT_SCOPE)
endfunction()

# Flags of every plugin beside those of CMake's build type.
function(attnlab_plugin_flags output)
  set(flags -march=${ATTNLAB_ISA} -ffp-contract=off)
  if(ATTNLAB_SANITIZE)
    list(APPEND flags -fsanitize=${ATTNLAB_SANITIZE} -fno-omit-frame-pointer)
  endif()
  set(${output} ${flags} PARENT_SCOPE)
endfunction()

# What nobody defines is an error of the link, but where the sanitizer's own symbols come from the program: GCC has a
# library of them, others link them into programs alone.
function(attnlab_plugin_link_flags output)
  set(flags "")
  if(NOT ATTNLAB_SANITIZE OR CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    set(flags -Wl,-z,defs)
  endif()
  set(${output} ${flags} PARENT_SCOPE)
endfunction()

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
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "OUTPUT_DIRECTORY" "SOURCES;TEST")
  if(NOT arg_SOURCES)
    message(FATAL_ERROR "attnlab_add_plugin(${name}): SOURCES is missing")
  endif()
  attnlab_plugin_flags(flags)
  attnlab_plugin_link_flags(link_flags)
  add_library(${name} MODULE ${arg_SOURCES})
  target_link_libraries(${name} PRIVATE attnlab::sdk)
  target_compile_options(${name} PRIVATE ${flags} $<$<NOT:$<CONFIG:Debug>>:-O3>)
  target_link_options(${name} PRIVATE LINKER:--version-script=${_attnlab_version_script} ${link_flags})
  if(ATTNLAB_SANITIZE)
    target_link_options(${name} PRIVATE -fsanitize=${ATTNLAB_SANITIZE})
  endif()
  set_property(TARGET ${name} APPEND PROPERTY LINK_DEPENDS ${_attnlab_version_script})
  if(NOT arg_OUTPUT_DIRECTORY)
    set(arg_OUTPUT_DIRECTORY ${ATTNLAB_PLUGIN_DIR})
    if(NOT arg_OUTPUT_DIRECTORY)
      set(arg_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/plugins)
    endif()
  endif()
  set_target_properties(${name} PROPERTIES PREFIX "" CXX_STANDARD 20 CXX_EXTENSIONS OFF CXX_VISIBILITY_PRESET hidden
    VISIBILITY_INLINES_HIDDEN ON LIBRARY_OUTPUT_DIRECTORY ${arg_OUTPUT_DIRECTORY})
  if(arg_TEST)
    attnlab_add_plugin_test(${name} "${flags}" ${arg_TEST})
  endif()
endfunction()

# A GoogleTest program beside the plugin, against the SDK alone; it may include the plugin's source.
function(attnlab_add_plugin_test name flags)
  find_package(GTest REQUIRED)
  add_executable(${name}_test ${ARGN})
  target_link_libraries(${name}_test PRIVATE attnlab::sdk GTest::gtest GTest::gtest_main)
  target_compile_options(${name}_test PRIVATE ${flags})
  if(ATTNLAB_SANITIZE)
    target_link_options(${name}_test PRIVATE -fsanitize=${ATTNLAB_SANITIZE})
  endif()
  set_target_properties(${name}_test PROPERTIES CXX_STANDARD 20 CXX_EXTENSIONS OFF)
  add_test(NAME ${name}_test COMMAND ${name}_test)
endfunction()
