# What `cmake --install` puts where. Nothing in an installed tree names the build or the prefix, so it may be moved:
#   bin/attnlab  lib/libattnlab.so  lib/attnlab/plugins/*.so  lib/attnlab/sdk.json
#   include/attnlab/*.h  lib/cmake/AttnLab/
include(CMakePackageConfigHelpers)

# What the program needs to compile a plugin's source by itself (framework/registry/plugin_compiler.cpp), beside the
# library in both trees. Paths are relative to the file, or absolute; the headers' folder comes first.
function(attnlab_write_sdk_file output version_script)
  string(TOUPPER "${CMAKE_BUILD_TYPE}" type)
  separate_arguments(flags UNIX_COMMAND "${CMAKE_CXX_FLAGS} ${CMAKE_CXX_FLAGS_${type}}")
  if(NOT type STREQUAL DEBUG)
    list(APPEND flags -O3)
  endif()
  attnlab_plugin_flags(of_every_plugin)
  attnlab_plugin_link_flags(link_flags)
  list(APPEND flags -std=c++20 ${of_every_plugin} -fPIC -fvisibility=hidden -fvisibility-inlines-hidden -shared
    ${link_flags})
  list(JOIN flags "\", \"" flags)
  list(JOIN ARGN "\", \"" include)
  set(content "{
  \"compiler\": \"${CMAKE_CXX_COMPILER}\",
  \"flags\": [\"${flags}\"],
  \"include\": [\"${include}\"],
  \"version_script\": \"${version_script}\"
}
")
  file(CONFIGURE OUTPUT ${output} CONTENT "@content@" @ONLY)
endfunction()

set(package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/AttnLab)
attnlab_write_sdk_file(${PROJECT_BINARY_DIR}/lib/attnlab/sdk.json ${PROJECT_SOURCE_DIR}/cmake/plugin.map
  ${ATTNLAB_SDK_DIR} ${ATTNLAB_GENERATED_DIR})
file(RELATIVE_PATH include_dir ${CMAKE_INSTALL_FULL_LIBDIR}/attnlab ${CMAKE_INSTALL_FULL_INCLUDEDIR})
attnlab_write_sdk_file(${PROJECT_BINARY_DIR}/installed/sdk.json ../cmake/AttnLab/plugin.map ${include_dir})

configure_package_config_file(${PROJECT_SOURCE_DIR}/cmake/AttnLabConfig.cmake.in
  ${PROJECT_BINARY_DIR}/installed/AttnLabConfig.cmake INSTALL_DESTINATION ${package_dir}
  PATH_VARS CMAKE_INSTALL_INCLUDEDIR CMAKE_INSTALL_LIBDIR)
write_basic_package_version_file(${PROJECT_BINARY_DIR}/installed/AttnLabConfigVersion.cmake
  COMPATIBILITY SameMinorVersion)

install(TARGETS attnlab_program RUNTIME)
install(TARGETS attnlab LIBRARY)
install(TARGETS ${ATTNLAB_PLUGINS} LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR}/attnlab/plugins)
install(FILES ${PROJECT_BINARY_DIR}/installed/sdk.json DESTINATION ${CMAKE_INSTALL_LIBDIR}/attnlab)
install(DIRECTORY ${ATTNLAB_SDK_DIR}/attnlab ${ATTNLAB_GENERATED_DIR}/attnlab DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}
  FILES_MATCHING PATTERN "*.h")
install(FILES ${PROJECT_BINARY_DIR}/installed/AttnLabConfig.cmake
  ${PROJECT_BINARY_DIR}/installed/AttnLabConfigVersion.cmake ${PROJECT_SOURCE_DIR}/cmake/AttnLabPlugin.cmake
  ${PROJECT_SOURCE_DIR}/cmake/plugin.map DESTINATION ${package_dir})
