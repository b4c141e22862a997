// bert_classify_bench FOLDER TEXTS PRECISION THREADS|cuda TOKENS PASSES: classifies the texts of TEXTS.ids (token ids,
// one text per line, in any order) in batches of at most TOKENS tokens. The time includes sorting and packing but not
// loading. Then the same for TEXTS.txt, where the time also includes tokenization. Prints the medians of PASSES passes,
// after a warm-up pass, as one line of JSON, and writes the logits, one text per line, to TEXTS-ours-PRECISION.logits.
// With PASSES 0 it stops before loading the model, to measure the memory used without it.
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "bench/device.h"
#include "core/parallel_for.h"
#include "text/tokenizers/tokenizer.h"
#include "text/tokenizers/tokenizer_files.h"
#include "texts/text_model.h"

namespace {

using namespace sartor;
std::vector<std::string> lines_of(const std::string& path) {
  std::ifstream file(path);
  std::vector<std::string> lines;
  for (std::string line; std::getline(file, line);) lines.push_back(line);
  return lines;
}

text::Encodings encodings_of(const std::vector<std::string>& lines) {
  text::Encodings found;
  for (const auto& line : lines) {
    std::istringstream words(line);
    for (int32_t id; words >> id;) found.ids.push_back(id);
    found.rows.push_back(std::ssize(found.ids));
  }
  found.type_ids.resize(found.ids.size());
  return found;
}

text::Encodings tokenized(const text::Tokenizer& tokenizer, const std::vector<std::string>& lines, int threads) {
  const std::vector<std::string_view> texts(lines.begin(), lines.end());
  const text::EncodeOptions options = {.truncation = text::Truncation{.max_length = 128}};
  return tokenizer.encode(texts, {}, options, cuda::tasks_on(threads));
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

int run(char** argv) {
  const std::string name = argv[2], kind = argv[3];
  const auto precision = choice_of<inference::Precision>(kind);
  const int64_t budget = std::atoll(argv[5]), passes = std::atoll(argv[6]);
  const auto runtime = runtime_of(argv[4]);

  const text::Tokenizer tokenizer(text::read_tokenizer(argv[1]));
  const auto ids = encodings_of(lines_of(name + ".ids"));
  const auto texts = lines_of(name + ".txt");
  if (passes == 0) return fmt::print("{{}}\n"), 0;

  const auto model = inference::TextModel::classifier(argv[1], precision, runtime.gpu);
  const auto logits = model.score(ids, budget);
  const double from_ids = median_seconds(passes, [&] { model.score(ids, budget); });
  const double from_text =
      median_seconds(passes, [&] { model.score(tokenized(tokenizer, texts, runtime.threads), budget); });

  std::ofstream out(name + "-ours-" + kind + ".logits");
  for (size_t i = 0; i < logits.size(); i++) out << logits[i] << ((i + 1) % model.columns() ? ' ' : '\n');
  fmt::print("{{\"seconds\": {:.6f}, \"seconds_from_text\": {:.6f}}}\n", from_ids, from_text);
  return 0;
}

}  // namespace

int main(int argc, char** argv) try {
  if (argc == 7) return run(argv);
  fmt::print(stderr, "usage: {} FOLDER TEXTS fp32|tf32|bf16|int8 THREADS|cuda TOKENS PASSES\n", argv[0]);
  return 2;
} catch (const std::exception& error) {
  fmt::print(stderr, "bert_classify_bench: {}\n", error.what());
  return 1;
}
