# SPDX-License-Identifier: Apache-2.0
# postern_precompiled: cmake/precompiled.h, parsed once for all that links it, in the presets
# with sanitizers. The others parse it in each file, and so see to it that a file includes what
# it uses.
#
# Not by target_precompile_headers(), which names the result by its absolute path: ccache would
# find nothing from another folder. With CCACHE_PCH_EXTSUM=1 it takes precompiled.pch.sum, all
# that the preprocessor makes of the header, for the content of precompiled.pch, which holds
# absolute paths too.
add_library(postern_precompiled INTERFACE)
if(POSTERN_SANITIZE AND CMAKE_CXX_COMPILER_ID STREQUAL "Clang" AND CMAKE_GENERATOR STREQUAL "Ninja")
  set(header ${CMAKE_SOURCE_DIR}/cmake/precompiled.h)
  get_directory_property(options COMPILE_OPTIONS)
  string(TOUPPER "CMAKE_CXX_FLAGS_${CMAKE_BUILD_TYPE}" flags)
  separate_arguments(flags NATIVE_COMMAND "${CMAKE_CXX_FLAGS} ${${flags}}")
  # The definition is that of GTest::gtest.
  set(compile ${CMAKE_CXX_COMPILER} ${flags} -std=c++20 ${options} -DGTEST_HAS_PTHREAD=1
              -x c++-header ${header})
  add_custom_command(
    OUTPUT precompiled.pch precompiled.pch.sum
    COMMAND ${compile} -E -dD -P -o precompiled.pch.sum
    COMMAND ${compile} -MD -MF precompiled.d -Xclang -fno-pch-timestamp
            -fpch-instantiate-templates -o precompiled.pch
    DEPENDS ${header} ${CMAKE_CXX_COMPILER}
    DEPFILE precompiled.d
    VERBATIM)
  add_custom_target(postern_precompiled_header DEPENDS precompiled.pch)
  add_dependencies(postern_precompiled postern_precompiled_header)
  # As seen from the build folder, in which Ninja compiles.
  target_compile_options(postern_precompiled INTERFACE "SHELL:-include-pch precompiled.pch")
endif()
