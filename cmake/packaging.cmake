# cmake --install BUILD --prefix FOLDER: programs and every library they need but the system's own, found by $ORIGIN,
# so that the folder runs on a server that has neither the clone nor the virtual environment.
install(TARGETS sartor-train sartor-infer RUNTIME_DEPENDENCY_SET sartor_libraries RUNTIME DESTINATION bin)
if(SARTOR_CUDA)
  install(TARGETS sartor_kernels LIBRARY DESTINATION lib)
endif()
install(RUNTIME_DEPENDENCY_SET sartor_libraries
  DIRECTORIES ${SARTOR_SITE}/torch/lib ${SARTOR_SITE}/pyarrow
  POST_EXCLUDE_REGEXES "^/lib/.*" "/(libc|libm|libdl|librt|libpthread|libstdc\\+\\+|libgcc_s|ld-linux-x86-64)\\.so.*"
  LIBRARY DESTINATION lib)
install(DIRECTORY configs/ DESTINATION configs FILES_MATCHING PATTERN "*.yaml")
install(FILES README.md DESTINATION .)
