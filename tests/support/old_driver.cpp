// Takes the place of cudart's view of the driver: one for CUDA 12.4.
extern "C" {

int cudaGetDeviceCount(int* count) {
  *count = 0;
  return 35;  // cudaErrorInsufficientDriver
}

int cudaDriverGetVersion(int* version) {
  *version = 12040;
  return 0;
}
}
