#include "optimization/utilisation.h"

#include <ATen/ops/arange.h>
#include <ATen/ops/mm.h>
#include <c10/core/InferenceMode.h>

#include <algorithm>
#include <chrono>
#include <functional>

#include "models/tensors/onednn.h"

namespace sartor {
namespace {

using Clock = std::chrono::steady_clock;

// Shortest time of one run among runs of 0.1 s in total. The first is a warm-up, which counts only if it is the only
// one.
double least_seconds(const std::function<at::Tensor()>& product) {
  constexpr double enough = 0.1;
  double least = 0, total = 0;
  for (int tries = 0; total < enough; tries++) {
    const auto begin = Clock::now();
    product().view(-1)[0].item();  // waits for the device
    const double seconds = std::chrono::duration<double>(Clock::now() - begin).count();
    least = tries < 2 ? seconds : std::min(least, seconds);
    total += seconds;
  }
  return least;
}

}  // namespace

double product_peak(at::Device device, at::ScalarType dtype) {
  const c10::InferenceMode inference;
  const int64_t size = device.is_cpu() ? 512 : 4096;
  const auto x =
      at::arange(size * size, at::TensorOptions(device).dtype(at::kFloat)).sin().view({size, size}).to(dtype);
  double least = least_seconds([&] { return at::mm(x, x); });
  if (device.is_cpu() && dtype == at::kFloat)
    least = std::min(least, least_seconds([&] { return onednn_linear(x, x); }));
  return 2 * static_cast<double>(size) * static_cast<double>(size) * static_cast<double>(size) / least;
}

}  // namespace sartor
