# SPDX-License-Identifier: Apache-2.0
include(GoogleTest)

# postern_library(NAME SOURCES... [DEPS ...]): one room of the house.
function(postern_library name)
  cmake_parse_arguments(ARG "" "" "DEPS" ${ARGN})
  add_library(${name} STATIC ${ARG_UNPARSED_ARGUMENTS})
  target_link_libraries(${name} PUBLIC ${ARG_DEPS} PRIVATE postern_flags)
  target_include_directories(${name} PUBLIC ${CMAKE_SOURCE_DIR} ${CMAKE_BINARY_DIR})
endfunction()

# postern_binary(NAME SOURCES... [DEPS ...]): something we ship.
function(postern_binary name)
  cmake_parse_arguments(ARG "" "" "DEPS" ${ARGN})
  add_executable(${name} ${ARG_UNPARSED_ARGUMENTS})
  target_link_libraries(${name} PRIVATE ${ARG_DEPS} postern_flags)
endfunction()

# postern_test(NAME SOURCES... [DEPS ...] [LABEL unit|threads|kernel|e2e]): a
# GoogleTest binary, its tests known to ctest by name. `threads` marks unit
# tests of threaded classes that hold no gRPC: the thread sanitizer runs those.
function(postern_test name)
  cmake_parse_arguments(ARG "" "LABEL" "DEPS" ${ARGN})
  if(NOT ARG_LABEL)
    set(ARG_LABEL unit)
  endif()
  add_executable(${name} ${ARG_UNPARSED_ARGUMENTS})
  target_link_libraries(${name} PRIVATE ${ARG_DEPS} postern_flags GTest::gmock GTest::gtest_main)
  set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/tests)
  # `ninja tests_unit`, `ninja tests_threads`, …: the tests of one label.
  if(NOT TARGET tests_${ARG_LABEL})
    add_custom_target(tests_${ARG_LABEL})
  endif()
  add_dependencies(tests_${ARG_LABEL} ${name})
  gtest_discover_tests(${name} PROPERTIES LABELS ${ARG_LABEL} DISCOVERY_TIMEOUT 60)
endfunction()
