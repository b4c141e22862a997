// Simulates a driver for CUDA 12.4 by replacing two functions of cudart.
extern "C" __attribute__((visibility("default"))) int cudaGetDeviceCount(int* count) {
  *count = 0;
  return 35;  // cudaErrorInsufficientDriver
}

extern "C" __attribute__((visibility("default"))) int cudaDriverGetVersion(int* version) {
  *version = 12040;
  return 0;
}
