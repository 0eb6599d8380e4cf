# The guard on instruction counts: cmake -DGUARD=guard_kernels -DVALGRIND=valgrind -DCOUNTS=instruction_counts.json
#   [-DRENEW=ON] -P check_instruction_counts.cmake
# Callgrind shows every program the same processor (AVX2), so a count does not depend on the machine, and nothing that
# else runs on it can move it. A kernel may drift by 2 % either way: fewer instructions are a change too, to be kept.
set(tolerance_percent 2)
set(kernels decode_f32 decode_int8 project)

if(NOT VALGRIND)
  message("SKIPPED: valgrind is not installed")
  return()
endif()
file(READ ${COUNTS} counts)
set(failures "")
foreach(kernel IN LISTS kernels)
  execute_process(
    COMMAND ${VALGRIND} --tool=callgrind --callgrind-out-file=/dev/null --collect-atstart=no
      --toggle-collect=measured_kernel ${GUARD} ${kernel}
    RESULT_VARIABLE result ERROR_VARIABLE said OUTPUT_VARIABLE said)
  if(NOT result EQUAL 0 OR NOT said MATCHES "Collected : ([0-9]+)")
    message(FATAL_ERROR "${kernel}: callgrind counted nothing:\n${said}")
  endif()
  set(now ${CMAKE_MATCH_1})
  if(now EQUAL 0)
    message(FATAL_ERROR "${kernel}: measured_kernel was never entered")
  endif()
  if(RENEW)
    string(JSON counts SET "${counts}" ${kernel} ${now})
    message("${kernel}: ${now} instructions")
    continue()
  endif()
  string(JSON committed ERROR_VARIABLE missing GET "${counts}" ${kernel})
  if(missing)
    list(APPEND failures "${kernel}: has no committed count")
    continue()
  endif()
  # In hundredths of a percent, for CMake counts in whole numbers.
  math(EXPR change "(${now} - ${committed}) * 10000 / ${committed}")
  math(EXPR limit "${tolerance_percent} * 100")
  math(EXPR whole "${change} / 100")
  message("${kernel}: ${now} instructions, ${committed} committed (${change} hundredths of a percent)")
  if(change GREATER limit OR change LESS -${limit})
    list(APPEND failures "${kernel}: ${now} instructions, ${committed} committed: about ${whole} % apart")
  endif()
endforeach()

if(RENEW)
  file(WRITE ${COUNTS} "${counts}\n")
elseif(failures)
  list(JOIN failures "\n  " failures)
  message(FATAL_ERROR "more than ${tolerance_percent} % from the committed counts:\n  ${failures}\n"
    "Where that is meant, renew them and commit the file with the change and its reason:\n"
    "  cmake --build build/release --target renew_instruction_counts")
endif()
