#include <ATen/ops/equal.h>
#include <ATen/ops/randn.h>
#include <c10/core/InferenceMode.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <thread>
#include <vector>

#include "models/tensors/onednn.h"
#include "models/transformer/ops.h"
#include "models/transformer/product.h"
#include "runtime/signals.h"

namespace sartor::bert {
namespace {

// Checks that frequent signals do not change the results of products. Returns 0 if they are equal.
int products_among_signals() {
  catch_stop_signals(/*launched=*/true);
  const c10::InferenceMode inference;
  struct Case {
    at::Tensor x, weight;
    std::vector<at::Tensor> alone;
  };
  const auto products = [](const at::Tensor& x, const at::Tensor& weight) {
    const auto bias = weight.select(1, 0).contiguous();
    return std::vector{transformer::linear(x, weight, bias, at::kFloat),
                       transformer::Product(weight, bias, transformer::Precision::fp32)(x),
                       onednn_linear(x, onednn_weight(weight), bias)};
  };
  std::vector<Case> cases;
  for (const int64_t rows : {119, 700, 1501}) {
    for (const auto& [inputs, outputs] : {std::pair{256, 1024}, {1024, 256}, {384, 384}}) {
      const auto x = at::randn({rows, inputs}), weight = at::randn({outputs, inputs});
      cases.push_back({x, weight, products(x, weight)});
      const auto by_weight = at::randn({inputs, rows});  // as in a backward pass, which sums over rows
      cases.push_back({by_weight, at::randn({outputs, rows}), {}});
      cases.back().alone = products(by_weight, cases.back().weight);
    }
  }
  std::jthread other([](const std::stop_token& stopped) {
    while (!stopped.stop_requested()) {
      kill(getpid(), SIGTERM);
      std::this_thread::sleep_for(std::chrono::microseconds(200));
    }
  });
  for (int repeat = 0; repeat < 4; repeat++) {
    for (const auto& [x, weight, alone] : cases) {
      const auto found = products(x, weight);
      for (size_t i = 0; i < found.size(); i++) {
        if (!at::equal(found[i], alone[i])) return 1;
      }
    }
  }
  return stop_signal() == SIGTERM ? 0 : 2;
}

TEST(StopSignals, LeaveProductsAlone) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");  // threads of libgomp do not exist in a forked process
  EXPECT_EXIT(_exit(products_among_signals()), testing::ExitedWithCode(0), "");
}

}  // namespace
}  // namespace sartor::bert
