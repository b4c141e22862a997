# Precompiled headers for ATen (5 s to parse) and GoogleTest (3 s). They only save time: every file includes what it uses.

# sartor_precompiled(NAME HEADERS ... LIBRARIES ...): for target_precompile_headers(TARGET REUSE_FROM NAME)
function(sartor_precompiled name)
  cmake_parse_arguments(PARSE_ARGV 1 with "" "" "HEADERS;LIBRARIES")
  set(source ${PROJECT_BINARY_DIR}/precompiled/${name}.cpp)
  file(CONFIGURE OUTPUT ${source} CONTENT "")
  add_library(${name} OBJECT ${source})
  target_link_libraries(${name} PRIVATE ${with_LIBRARIES})
  target_precompile_headers(${name} PRIVATE ${with_HEADERS})
endfunction()

sartor_precompiled(precompiled_tensors HEADERS <ATen/ATen.h> LIBRARIES fmt::fmt torch_cpu)
target_compile_definitions(precompiled_tensors PRIVATE FMT_HEADER_ONLY)
if(BUILD_TESTING)
  set(headers <gmock/gmock.h> <fmt/format.h> <filesystem> <fstream> <map> <sstream>)
  sartor_precompiled(precompiled_tests HEADERS ${headers} LIBRARIES GTest::gmock fmt::fmt)
  sartor_precompiled(precompiled_tensor_tests HEADERS ${headers} <ATen/ATen.h> LIBRARIES GTest::gmock fmt::fmt torch_cpu)
  target_compile_definitions(precompiled_tensor_tests PRIVATE FMT_HEADER_ONLY)
  foreach(target precompiled_tests precompiled_tensor_tests)  # the same flags as for programs
    set_target_properties(${target} PROPERTIES POSITION_INDEPENDENT_CODE OFF)
    target_compile_options(${target} PRIVATE -fPIE ${SARTOR_TEST_OPTIONS})
  endforeach()
endif()
