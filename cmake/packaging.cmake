# cmake --install BUILD --prefix FOLDER                   programs, configs, and every library but the C and C++ runtime
# cmake --install BUILD --prefix FOLDER --component gpu   adds the GPU modules with their CUDA libraries
# The folder can be moved and needs neither the clone nor the virtual environment.
set(system "/(ld-linux-x86-64|libc|libm|libdl|librt|libpthread|libresolv|libstdc\\+\\+|libgcc_s)\\.so")

install(TARGETS sartor-train sartor-infer RUNTIME_DEPENDENCY_SET sartor_libraries RUNTIME DESTINATION bin COMPONENT programs)
install(RUNTIME_DEPENDENCY_SET sartor_libraries
  DIRECTORIES ${SARTOR_SITE}/torch/lib ${SARTOR_SITE}/pyarrow
  POST_EXCLUDE_REGEXES ${system}
  LIBRARY DESTINATION lib COMPONENT programs)
install(DIRECTORY configs/ DESTINATION configs COMPONENT programs FILES_MATCHING PATTERN "*.yaml")
install(FILES README.md DESTINATION . COMPONENT programs)

if(SARTOR_CUDA)
  install(TARGETS sartor_kernels RUNTIME_DEPENDENCY_SET gpu_libraries
    LIBRARY DESTINATION lib COMPONENT gpu EXCLUDE_FROM_ALL)
  install(RUNTIME_DEPENDENCY_SET gpu_libraries
    DIRECTORIES ${CUDAToolkit_LIBRARY_DIR}
    PRE_EXCLUDE_REGEXES "^libcuda\\.so"
    POST_EXCLUDE_REGEXES ${system}
    LIBRARY DESTINATION lib COMPONENT gpu EXCLUDE_FROM_ALL)
endif()
