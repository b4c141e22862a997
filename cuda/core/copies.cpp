#include "core/copies.h"

#include <cstdlib>
#include <new>

#include "core/gpu/module.h"

namespace sartor::cuda {
namespace {

class BlockingCopies final : public Copies {
 public:
  explicit BlockingCopies(Backend& backend) : backend_(backend) {}

  void* allocate_host(size_t bytes) override {
    void* memory = std::malloc(bytes);
    if (!memory && bytes > 0) throw std::bad_alloc();
    return memory;
  }
  void release_host(void* memory) noexcept override { std::free(memory); }
  void start(void* to_device, const void* from_host, size_t bytes) override {
    backend_.copy_in(to_device, from_host, bytes);
  }
  void start_out(void* to_host, const void* from_device, size_t bytes) override {
    backend_.copy_out(to_host, from_device, bytes);
  }
  void wait() override {}
  void hold_operations() override {}
  void hold_copies() override {}

 private:
  Backend& backend_;
};

}  // namespace

std::unique_ptr<Copies> make_copies(Context& context) {
  if (context.is_gpu()) {
    const GpuModule* module = find_gpu_module().module;
    if (Copies* copies = module ? module->open_copies(context.backend()) : nullptr) {
      return std::unique_ptr<Copies>(copies);
    }
  }
  return std::make_unique<BlockingCopies>(context.backend());
}

}  // namespace sartor::cuda
