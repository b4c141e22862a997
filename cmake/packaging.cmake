# cmake --install BUILD --prefix FOLDER                   programs, configs, and all libraries except the C and C++ runtime
# cmake --install BUILD --prefix FOLDER --component gpu   adds the GPU modules and their CUDA libraries
# The folder is relocatable and needs neither the clone nor the virtual environment.
set(system "/(ld-linux-x86-64|libc|libm|libdl|librt|libpthread|libresolv|libstdc\\+\\+|libgcc_s)\\.so")

install(TARGETS sartor-train sartor-infer RUNTIME_DEPENDENCY_SET sartor_libraries RUNTIME DESTINATION bin COMPONENT programs)
install(RUNTIME_DEPENDENCY_SET sartor_libraries
  DIRECTORIES ${SARTOR_SITE}/torch/lib ${SARTOR_SITE}/pyarrow
  POST_EXCLUDE_REGEXES ${system}
  LIBRARY DESTINATION lib COMPONENT programs)
install(DIRECTORY configs/ DESTINATION configs COMPONENT programs FILES_MATCHING PATTERN "*.yaml")
install(FILES README.md DESTINATION . COMPONENT programs)
install(DIRECTORY docs/ DESTINATION docs COMPONENT programs)

if(SARTOR_CUDA)
  # Both modules share one copy of each CUDA library, from libtorch's wheel; the kernels need a subset of them.
  install(TARGETS sartor_torch_cuda RUNTIME_DEPENDENCY_SET gpu_libraries
    LIBRARY DESTINATION lib COMPONENT gpu EXCLUDE_FROM_ALL)
  install(TARGETS sartor_kernels LIBRARY DESTINATION lib COMPONENT gpu EXCLUDE_FROM_ALL)
  install(RUNTIME_DEPENDENCY_SET gpu_libraries
    DIRECTORIES ${SARTOR_SITE}/torch/lib
    PRE_EXCLUDE_REGEXES "^libcuda\\.so"
    POST_EXCLUDE_REGEXES ${system}
    LIBRARY DESTINATION lib COMPONENT gpu EXCLUDE_FROM_ALL)
  # Libraries that libtorch and cuDNN load by name on first use.
  file(GLOB opened_by_name ${SARTOR_SITE}/nvidia/cudnn/lib/libcudnn_*.so.* ${SARTOR_SITE}/nvidia/cu13/lib/libnvrtc.so.*
    ${SARTOR_SITE}/nvidia/cu13/lib/libnvrtc-builtins.so.* ${SARTOR_SITE}/torch/lib/libcaffe2_nvrtc.so)
  install(FILES ${opened_by_name} DESTINATION lib COMPONENT gpu EXCLUDE_FROM_ALL)
endif()

# Contents of the archive of scripts/gpu_check.sh, for a machine that has libtorch and CUDA.
if(SARTOR_CUDA AND BUILD_TESTING)
  add_library(sartor_cuda_calls MODULE scripts/gpu/cuda_calls.cpp)
  target_include_directories(sartor_cuda_calls SYSTEM PRIVATE ${CUDAToolkit_INCLUDE_DIRS})
  target_link_libraries(sartor_cuda_calls PRIVATE ${CMAKE_DL_LIBS})
  set_target_properties(sartor_cuda_calls PROPERTIES PREFIX "" OUTPUT_NAME cuda_calls)

  set(checked sartor-train sartor-infer sartor_kernels sartor_torch_cuda sartor_cuda_calls cuda_tests cuda_device_tests kernel_tests
    trainer_attention_test trainer_runtime_test als_bench bert_classify_bench decoder_bench decoding_bench filter_bench generate_bench implicit_bench recommender_bench topk_bench)
  add_custom_target(gpu_check DEPENDS ${checked})
  install(TARGETS ${checked} RUNTIME_DEPENDENCY_SET check_libraries
    RUNTIME DESTINATION bin COMPONENT gpu_check EXCLUDE_FROM_ALL
    LIBRARY DESTINATION lib COMPONENT gpu_check EXCLUDE_FROM_ALL)
  install(RUNTIME_DEPENDENCY_SET check_libraries
    DIRECTORIES ${SARTOR_SITE}/pyarrow
    PRE_EXCLUDE_REGEXES "^lib(gomp|c10|c10_cuda|torch_cpu|torch_cuda|cuda|cudart|cublas|cublasLt)\\.so"
    POST_EXCLUDE_REGEXES ${system}
    LIBRARY DESTINATION lib COMPONENT gpu_check EXCLUDE_FROM_ALL)
endif()
