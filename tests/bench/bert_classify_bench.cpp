// bert_classify_bench FOLDER TEXTS fp32|bf16|int8 THREADS TOKENS PASSES: classifies the texts of TEXTS.ids (token ids,
// one text per line, in any order) in batches of at most TOKENS tokens. The time includes sorting and packing but not
// loading. Then the same for TEXTS.txt, where the time also includes tokenization. Prints the medians of PASSES passes,
// after a warm-up pass, as one line of JSON, and writes the logits, one text per line, to TEXTS-ours-PRECISION.logits.
// With PASSES 0 it stops before loading the model, to measure the memory used without it.
#include <ATen/Parallel.h>
#include <ATen/core/Tensor.h>
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "core/parallel_for.h"
#include "models/bert/cpu_encoder.h"
#include "models/bert/folder.h"
#include "runtime/memory.h"
#include "text/tokenizers/tokenizer.h"
#include "text/tokenizers/tokenizer_files.h"

namespace {

using namespace sartor;
using Ids = std::vector<std::vector<int32_t>>;

std::vector<std::string> lines_of(const std::string& path) {
  std::ifstream file(path);
  std::vector<std::string> lines;
  for (std::string line; std::getline(file, line);) lines.push_back(line);
  return lines;
}

Ids ids_of(const std::vector<std::string>& lines) {
  Ids ids;
  for (const auto& line : lines) {
    std::istringstream words(line);
    ids.emplace_back();
    for (int32_t id; words >> id;) ids.back().push_back(id);
  }
  return ids;
}

Ids tokenized(const text::Tokenizer& tokenizer, const std::vector<std::string>& lines, int threads) {
  const std::vector<std::string_view> texts(lines.begin(), lines.end());
  const text::EncodeOptions options = {.truncation = text::Truncation{.max_length = 128}};
  const auto encoded = tokenizer.encode(texts, {}, options, cuda::tasks_on(threads));
  Ids ids;
  for (size_t i = 0; i < texts.size(); i++) {
    const auto row = encoded.row(static_cast<int64_t>(i));
    ids.emplace_back(row.begin(), row.end());
  }
  return ids;
}

// (texts, labels)
std::vector<float> classify(const bert::CpuEncoder& encoder, const Ids& texts, int64_t budget) {
  std::vector<int64_t> lengths;
  for (const auto& ids : texts) lengths.push_back(std::ssize(ids));
  const auto labels = encoder.config().num_labels();
  std::vector<float> logits(texts.size() * labels);
  for (const auto& rows : transformer::token_budget_batches(lengths, budget)) {
    Ids batch;
    for (const auto row : rows) batch.push_back(texts[row]);
    const auto found = encoder.classify(transformer::pack(bert::input_spec(encoder.config()), batch));
    for (size_t i = 0; i < rows.size(); i++) {
      std::copy_n(found.const_data_ptr<float>() + i * labels, labels, logits.begin() + rows[i] * labels);
    }
  }
  return logits;
}

template <class Work> double median_seconds(int64_t passes, const Work& work) {
  std::vector<double> seconds;
  for (int64_t pass = 0; pass < passes; pass++) {
    const auto start = std::chrono::steady_clock::now();
    work();
    seconds.push_back(std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
  }
  std::sort(seconds.begin(), seconds.end());
  return (seconds[(seconds.size() - 1) / 2] + seconds[seconds.size() / 2]) / 2;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 7) {
    fmt::print(stderr, "usage: {} FOLDER TEXTS fp32|bf16|int8 THREADS TOKENS PASSES\n", argv[0]);
    return 2;
  }
  const std::string name = argv[2], kind = argv[3];
  const auto precision = kind == "int8"   ? transformer::Precision::int8
                         : kind == "bf16" ? transformer::Precision::bf16
                                          : transformer::Precision::fp32;
  const int threads = std::atoi(argv[4]);
  const int64_t budget = std::atoll(argv[5]), passes = std::atoll(argv[6]);
  at::set_num_threads(threads);
  keep_freed_memory();

  const text::Tokenizer tokenizer(text::read_tokenizer(argv[1]));
  const auto ids = ids_of(lines_of(name + ".ids"));
  const auto texts = lines_of(name + ".txt");
  if (passes == 0) return fmt::print("{{}}\n"), 0;

  const auto encoder = bert::CpuEncoder::open(argv[1], bert::Head::classification, precision);
  const auto logits = classify(encoder, ids, budget);
  const double from_ids = median_seconds(passes, [&] { classify(encoder, ids, budget); });
  const double from_text =
      median_seconds(passes, [&] { classify(encoder, tokenized(tokenizer, texts, threads), budget); });

  const auto labels = encoder.config().num_labels();
  std::ofstream out(name + "-ours-" + kind + ".logits");
  for (size_t i = 0; i < logits.size(); i++) out << logits[i] << ((i + 1) % labels ? ' ' : '\n');
  fmt::print("{{\"seconds\": {:.4f}, \"seconds_from_text\": {:.4f}}}\n", from_ids, from_text);
}
