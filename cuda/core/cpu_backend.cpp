#include "core/cpu_backend.h"

#include <fmt/format.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <new>

#include "base/require.h"
#include "core/processors.h"

namespace sartor::cuda {

Context Context::cpu(int threads, Isa isa) {
  require(threads >= 0, "threads is {}, expected 0 or more", threads);
  require(supported(isa), "this CPU does not support {}", name(isa));
  return Context(std::make_unique<CpuBackend>(threads > 0 ? threads : available_threads(), isa));
}

std::string CpuBackend::description() const {
  return fmt::format("CPU, {} kernels, {} thread{}", name(isa), threads, threads == 1 ? "" : "s");
}

void* CpuBackend::allocate(size_t bytes) {
  constexpr size_t alignment = 256, huge_page = 2 << 20;
  const size_t aligned = bytes >= huge_page ? huge_page : alignment;
  void* memory = std::aligned_alloc(aligned, (bytes + aligned - 1) / aligned * aligned);
  if (!memory) throw std::bad_alloc();
  if (bytes >= huge_page)
    madvise(memory, bytes, MADV_HUGEPAGE);  // fewer TLB misses when random rows of large factors are read
  return memory;
}

void CpuBackend::release(void* memory) noexcept { std::free(memory); }

size_t CpuBackend::free_bytes() const {
  return static_cast<size_t>(sysconf(_SC_AVPHYS_PAGES)) * static_cast<size_t>(sysconf(_SC_PAGESIZE));
}

void CpuBackend::copy_in(void* to_device, const void* from_host, size_t bytes) {
  std::memcpy(to_device, from_host, bytes);
}
void CpuBackend::copy_out(void* to_host, const void* from_device, size_t bytes) {
  std::memcpy(to_host, from_device, bytes);
}
void CpuBackend::fill_zero(void* memory, size_t bytes) { std::memset(memory, 0, bytes); }

}  // namespace sartor::cuda
