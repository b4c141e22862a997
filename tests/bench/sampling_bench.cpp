// sampling_bench ROWS COLUMNS THREADS REPEATS [v3|v4]: time of penalize and sample per row on the CPU for several
// parameters. Prints one line of JSON for each. Logits are like a language model's: few are large. The first call is
// not timed.
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <functional>
#include <random>
#include <vector>

#include "core/device_buffer.h"
#include "decoding/sampling.h"

namespace {

using namespace sartor::cuda;

struct Case {
  const char* name;
  SamplingParams params;
};
const Case cases[] = {{"greedy", {}},
                      {"plain", {.greedy = false}},
                      {"temperature", {.greedy = false, .temperature = 0.7f}},
                      {"top_k", {.greedy = false, .top_k = 50}},
                      {"top_p", {.greedy = false, .top_p = 0.9f}},
                      {"min_p", {.greedy = false, .min_p = 0.05f}},
                      {"all", {.greedy = false, .temperature = 0.8f, .top_k = 50, .top_p = 0.9f, .min_p = 0.02f}}};

double median_seconds(int repeats, const std::function<void()>& call) {
  std::vector<double> seconds;
  for (int repeat = 0; repeat <= repeats; repeat++) {
    const auto start = std::chrono::steady_clock::now();
    call();
    if (repeat > 0) seconds.push_back(std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
  }
  std::nth_element(seconds.begin(), seconds.begin() + std::ssize(seconds) / 2, seconds.end());
  return seconds[seconds.size() / 2];
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 5 && argc != 6) {
    fmt::print(stderr, "usage: {} ROWS COLUMNS THREADS REPEATS [v3|v4]\n", argv[0]);
    return 2;
  }
  const int64_t rows = std::atoll(argv[1]), columns = std::atoll(argv[2]);
  const int threads = std::atoi(argv[3]), repeats = std::max(std::atoi(argv[4]), 1);
  const std::string_view isa = argc == 6 ? argv[5] : "best";
  auto context = Context::cpu(threads, isa == "v3" ? Isa::v3 : isa == "v4" ? Isa::v4 : best_isa());

  constexpr int64_t tokens = 512;
  std::mt19937 random(1);
  std::normal_distribution<float> normal;
  DeviceBuffer<float> logits(context, rows * columns), processed(context, rows * columns), own(context, rows);
  std::generate_n(logits.data(), rows * columns, [&] {
    const float x = normal(random);
    return 2.5f * x + 0.15f * x * x * x;
  });
  DeviceBuffer<int32_t> ids(context, rows), history(context, rows * tokens);
  std::generate_n(history.data(), rows * tokens, [&] { return static_cast<int32_t>(random() % columns); });
  std::vector<int32_t> lengths(rows, tokens), prompts(rows, tokens / 2);
  std::vector<Draw> draws(rows);
  for (int64_t r = 0; r < rows; r++) draws[r].row = r;

  const auto print = [&](const char* name, double seconds) {
    fmt::print(R"({{"case": "{}", "rows": {}, "columns": {}, "threads": {}, "isa": "{}", "us_per_row": {:.1f}}})"
               "\n",
               name, rows, columns, threads, isa, 1e6 * seconds / static_cast<double>(rows));
  };
  const Rows<float> input = {logits.data(), rows, columns}, output = {processed.data(), rows, columns};
  print("penalize", median_seconds(repeats, [&] {
          penalize(context, {.logits = input,
                             .history = {history.data(), tokens, lengths.data(), prompts.data()},
                             .params = {.repetition = 1.1f, .frequency = 0.1f, .no_repeat_ngram = 3},
                             .processed = output});
        }));
  for (const auto& [name, params] : cases) {
    for (const bool model : {false, true}) {  // whether the model's logits are another array
      print(fmt::format("{}{}", name, model ? ", penalized" : "").c_str(), median_seconds(repeats, [&] {
              sample(context, {.logits = model ? output : input,
                               .model_logits = input,
                               .draws = draws.data(),
                               .params = params,
                               .ids = ids.data(),
                               .log_probabilities = own.data()});
              for (auto& draw : draws) draw.position++;
            }));
    }
  }
}
