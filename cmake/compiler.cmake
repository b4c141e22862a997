# Language standard, warnings, sanitizers, output folders, ccache and mold.
set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_CXX_VISIBILITY_PRESET hidden)
set(CMAKE_VISIBILITY_INLINES_HIDDEN ON)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
set(CMAKE_RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/bin)
set(CMAKE_LIBRARY_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/lib)
set(CMAKE_CXX_FLAGS_RELWITHDEBINFO "-O2 -g1")
# At -O1 tests compile in two thirds of the time and run as fast. GCC 12 has false positives for string copies there.
set(SARTOR_TEST_OPTIONS $<$<CONFIG:RelWithDebInfo>:-O1> -Wno-array-bounds -Wno-stringop-overflow -Wno-restrict)

# Installed programs search ../lib, also for dependencies of libraries: RPATH applies to those, RUNPATH does not.
set(CMAKE_INSTALL_RPATH "$ORIGIN/../lib")
add_link_options(-Wl,--disable-new-dtags)

# Paths relative to the clone in ccache's keys and in debug information, so that clones share cached objects.
find_program(CCACHE ccache)
if(CCACHE)
  set(launcher ${CMAKE_COMMAND} -E env CCACHE_BASEDIR=${PROJECT_SOURCE_DIR} CCACHE_NOHASHDIR=1 CCACHE_SLOPPINESS=pch_defines,time_macros
    ${CCACHE})
  set(CMAKE_CXX_COMPILER_LAUNCHER ${launcher})
  set(CMAKE_CUDA_COMPILER_LAUNCHER ${launcher})
endif()
find_program(MOLD mold)
if(MOLD)
  add_link_options(-fuse-ld=mold)
endif()

set(warnings -Wall -Wextra -Werror -Wno-missing-field-initializers)  # designated initializers omit defaults
add_compile_options("$<$<COMPILE_LANGUAGE:CXX>:${warnings}>")

if(SARTOR_SANITIZER STREQUAL "address")
  # GCC 12 has false positives for libtorch's std::optional in instrumented code.
  add_compile_options(-fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer -Wno-maybe-uninitialized)
  add_link_options(-fsanitize=address,undefined)
elseif(SARTOR_SANITIZER STREQUAL "thread")
  add_compile_options(-fsanitize=thread -Wno-tsan)
  add_compile_definitions(SARTOR_STD_THREADS)
  add_link_options(-fsanitize=thread)
elseif(SARTOR_SANITIZER)
  message(FATAL_ERROR "SARTOR_SANITIZER is ${SARTOR_SANITIZER}, expected address or thread")
endif()

if(SARTOR_CUDA)
  if(NOT EXISTS ${PROJECT_SOURCE_DIR}/build/toolkit/bin/nvcc AND NOT CMAKE_CUDA_COMPILER)
    message(FATAL_ERROR "No CUDA toolkit: run scripts/setup.sh, or configure with -DSARTOR_CUDA=OFF")
  endif()
  if(NOT CMAKE_CUDA_COMPILER)
    file(REAL_PATH ${PROJECT_SOURCE_DIR}/build/toolkit toolkit)
    set(CMAKE_CUDA_COMPILER ${toolkit}/bin/nvcc)
    set(CUDAToolkit_ROOT ${toolkit})
  endif()
  set(CMAKE_CUDA_STANDARD 20)
  set(CMAKE_CUDA_STANDARD_REQUIRED ON)
  set(CMAKE_CUDA_RUNTIME_LIBRARY Shared)
  if(NOT DEFINED CMAKE_CUDA_ARCHITECTURES)
    set(CMAKE_CUDA_ARCHITECTURES 80 90)  # native code for both, and PTX of the newest for later architectures
  endif()
  set(CMAKE_CUDA_FLAGS "${CMAKE_CUDA_FLAGS} -lineinfo --expt-relaxed-constexpr -diag-suppress 20208,554")
  enable_language(CUDA)
  add_compile_definitions($<$<COMPILE_LANGUAGE:CUDA>:FMT_USE_CONSTEXPR=1>)  # fmt 9 does not detect nvcc's constexpr support
  find_package(CUDAToolkit REQUIRED)
endif()

# sartor_isa_library(NAME LEVELS ... SOURCES ...) compiles the sources once per instruction set (core/isa.h), with SARTOR_ISA as the
# name of the namespace. Such an object may export only symbols of that namespace; a test looks for weak symbols shared by two.
set(isa_options_v3 -march=x86-64-v3)
set(isa_options_v4 -march=x86-64-v4)
set(isa_options_v4_vnni ${isa_options_v4} -mavx512vnni)
set(isa_options_v4_bf16 ${isa_options_v4_vnni} -mavx512bf16)
function(sartor_isa_library name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "" "LEVELS;SOURCES")
  add_library(${name} INTERFACE)
  foreach(isa ${arg_LEVELS})
    add_library(${name}_${isa} OBJECT ${arg_SOURCES})
    target_include_directories(${name}_${isa} PRIVATE ${CMAKE_CURRENT_SOURCE_DIR})
    target_compile_options(${name}_${isa} PRIVATE ${isa_options_${isa}} -O3 -mprefer-vector-width=512
      -Wno-uninitialized -Wno-maybe-uninitialized)  # false positives in GCC 12's AVX-512 header
    target_compile_definitions(${name}_${isa} PRIVATE SARTOR_ISA=${isa})
    target_sources(${name} INTERFACE $<TARGET_OBJECTS:${name}_${isa}>)
  endforeach()
endfunction()
