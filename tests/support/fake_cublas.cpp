// Stands in for libcublas.so.13, likewise.
#include <cublas_api.h>

extern "C" cublasStatus_t cublasGemmEx(cublasHandle_t, cublasOperation_t, cublasOperation_t, int m, int n, int k,
                                       const void*, const void*, cudaDataType, int lda, const void*, cudaDataType,
                                       int ldb, const void*, void* c, cudaDataType, int ldc, cublasComputeType_t,
                                       cublasGemmAlgo_t) {
  *static_cast<int*>(c) = m + 10 * n + 100 * k + 1000 * lda + 10000 * ldb + 100000 * ldc;
  return CUBLAS_STATUS_SUCCESS;
}
