#include "core/gpu/copies.cuh"

#include "core/gpu/backend.cuh"

namespace sartor::cuda {
namespace {

class GpuCopies final : public Copies {
 public:
  explicit GpuCopies(GpuBackend& backend) : backend_(backend) {
    backend_.use();
    cudaStream_t stream = nullptr;
    check(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking), "stream of copies");
    stream_.reset(stream);
    cudaEvent_t event = nullptr;
    check(cudaEventCreateWithFlags(&event, cudaEventDisableTiming), "event of copies");
    event_.reset(event);
  }
  ~GpuCopies() override {
    cudaStreamSynchronize(stream_.get());  // errors no longer matter
  }

  void* allocate_host(size_t bytes) override {
    if (bytes == 0) return nullptr;
    backend_.use();
    void* memory = nullptr;
    const cudaError_t status = cudaMallocHost(&memory, bytes);
    if (status == cudaErrorMemoryAllocation) {
      cudaGetLastError();
      throw std::runtime_error(fmt::format("cannot allocate {} bytes of page-locked host memory", bytes));
    }
    check(status, "cudaMallocHost");
    return memory;
  }
  void release_host(void* memory) noexcept override { cudaFreeHost(memory); }

  void start(void* to_device, const void* from_host, size_t bytes) override {
    if (bytes == 0) return;
    backend_.use();
    check(cudaMemcpyAsync(to_device, from_host, bytes, cudaMemcpyHostToDevice, stream_.get()), "copy to the GPU");
  }
  void start_out(void* to_host, const void* from_device, size_t bytes) override {
    if (bytes == 0) return;
    backend_.use();
    check(cudaMemcpyAsync(to_host, from_device, bytes, cudaMemcpyDeviceToHost, stream_.get()), "copy from the GPU");
  }
  void wait() override {
    backend_.use();
    check(cudaStreamSynchronize(stream_.get()), "copies");
  }
  void hold_operations() override { hold(backend_.stream(), stream_.get()); }
  void hold_copies() override { hold(stream_.get(), backend_.stream()); }

 private:
  // What `later` gets from now on runs after what `earlier` holds.
  void hold(cudaStream_t later, cudaStream_t earlier) {
    backend_.use();
    check(cudaEventRecord(event_.get(), earlier), "event of copies");
    check(cudaStreamWaitEvent(later, event_.get()), "wait for copies");
  }

  GpuBackend& backend_;
  Handle<cudaStream_t, cudaStreamDestroy> stream_;
  Handle<cudaEvent_t, cudaEventDestroy> event_;  // a wait refers to what was recorded when it was enqueued
};

}  // namespace

Copies* open_gpu_copies(Backend& backend) {
  auto* gpu = dynamic_cast<GpuBackend*>(&backend);
  return gpu ? new GpuCopies(*gpu) : nullptr;
}

}  // namespace sartor::cuda
