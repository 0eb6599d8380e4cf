# What a plugin and the program must have in common, and the flags that follow from it.
set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_CXX_VISIBILITY_PRESET hidden)
set(CMAKE_VISIBILITY_INLINES_HIDDEN ON)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
if(NOT CMAKE_BUILD_TYPE)
  set(CMAKE_BUILD_TYPE Release)
endif()

# The baseline of everything; the hot kernels are compiled for several instruction sets beside it and pick one at run
# time. x86-64-v3 (AVX2, FMA) is what every x86 server since 2013 has.
if(CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|AMD64")
  set(ATTNLAB_ISA x86-64-v3 CACHE STRING "Baseline instruction set, as -march takes it")
else()
  set(ATTNLAB_ISA native CACHE STRING "Baseline instruction set, as -march takes it")
endif()

set(CMAKE_CXX_FLAGS_RELEASE "-O2 -DNDEBUG")
set(ATTNLAB_SANITIZE "" CACHE STRING "Sanitizers, as -fsanitize takes them; the stamp of a plugin names them")
attnlab_toolchain(ATTNLAB_TOOLCHAIN)
add_compile_options(-march=${ATTNLAB_ISA} -Wall -Wextra -Wno-missing-field-initializers -ffp-contract=off)
if(ATTNLAB_SANITIZE)
  add_compile_options(-fsanitize=${ATTNLAB_SANITIZE} -fno-omit-frame-pointer)
  add_link_options(-fsanitize=${ATTNLAB_SANITIZE})
endif()
