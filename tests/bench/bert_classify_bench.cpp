// bert_classify_bench FOLDER IDS fp32|bf16|int8 THREADS TOKENS PASSES [LOGITS]: classifies the texts of IDS (a line of
// token ids each), unsorted as they stand there, in batches of at most TOKENS tokens. Sorting and packing are inside
// the time, loading is not. Prints one line of JSON with the median of PASSES after one for warming; writes the logits,
// a line a text, to LOGITS. With PASSES 0 it loads the model and stops, for its memory.
#include <ATen/Parallel.h>
#include <ATen/core/Tensor.h>
#include <ATen/ops/empty.h>
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

#include "models/bert/cpu_encoder.h"
#include "models/bert/folder.h"

int main(int argc, char** argv) {
  using namespace sartor::bert;
  if (argc != 7 && argc != 8) {
    fmt::print(stderr, "usage: {} FOLDER IDS fp32|bf16|int8 THREADS TOKENS PASSES [LOGITS]\n", argv[0]);
    return 2;
  }
  const std::string_view name = argv[3];
  const auto precision = name == "int8"   ? InferencePrecision::int8
                         : name == "bf16" ? InferencePrecision::bf16
                                          : InferencePrecision::fp32;
  const int64_t budget = std::atoll(argv[5]), passes = std::atoll(argv[6]);
  at::set_num_threads(std::atoi(argv[4]));

  std::vector<std::vector<int32_t>> texts;
  std::vector<int64_t> lengths;
  std::ifstream file(argv[2]);
  for (std::string line; std::getline(file, line);) {
    std::istringstream words(line);
    texts.emplace_back();
    for (int32_t id; words >> id;) texts.back().push_back(id);
    lengths.push_back(std::ssize(texts.back()));
  }
  const auto encoder = CpuEncoder::open(argv[1], Head::classification, precision);

  const auto labels = encoder.config().num_labels();
  std::vector<float> logits(texts.size() * labels);
  std::vector<double> seconds;
  for (int64_t pass = 0; pass < passes + (passes > 0); pass++) {
    const auto start = std::chrono::steady_clock::now();
    for (const auto& rows : token_budget_batches(lengths, budget)) {
      std::vector<std::vector<int32_t>> batch;
      for (const auto row : rows) batch.push_back(texts[row]);
      const auto found = encoder.classify(pack(encoder.config(), batch));
      for (size_t i = 0; i < rows.size(); i++) {
        std::copy_n(found.const_data_ptr<float>() + i * labels, labels, logits.begin() + rows[i] * labels);
      }
    }
    if (pass > 0) seconds.push_back(std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
  }
  if (argc == 8) {
    std::ofstream out(argv[7]);
    for (size_t i = 0; i < logits.size(); i++) out << logits[i] << ((i + 1) % labels ? ' ' : '\n');
  }
  std::sort(seconds.begin(), seconds.end());
  const double median = seconds.empty() ? 0 : seconds[seconds.size() / 2];
  fmt::print("{{\"texts\": {}, \"seconds\": {:.4f}, \"texts_per_second\": {:.1f}}}\n", texts.size(), median,
             median > 0 ? static_cast<double>(texts.size()) / median : 0);
}
