// generate_bench FOLDER PRECISION THREADS|cuda ROWS PASSES [SEQUENCES CACHE_MIB [unshared]]: writes texts with the
// generator in FOLDER, greedy, end tokens ignored. Each line of the file ROWS is a number of tokens to write and the
// ids of a prompt. SEQUENCES are written at a time. Prints the median of PASSES after a short warm-up as one line of
// JSON, for each file if ROWS is several with commas between them. "unshared" computes common prefixes for each row.
// With PASSES 0 it ends before loading the model, to measure base memory.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <ctime>
#include <fstream>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

#include "bench/device.h"
#include "generation/text_writer.h"
#include "models/gpt/decoder.h"
#include "runtime/memory.h"
#include "text/tokenizers/tokenizer_files.h"

namespace {

using namespace sartor;

struct Row {
  int64_t tokens = 0;
  std::vector<int32_t> prompt;
};

std::vector<Row> read_rows(const std::string& path) {
  std::ifstream file(path);
  std::vector<Row> rows;
  for (std::string line; std::getline(file, line);) {
    std::istringstream words(line);
    auto& row = rows.emplace_back();
    words >> row.tokens;
    for (int32_t id; words >> id;) row.prompt.push_back(id);
  }
  return rows;
}

class Bench {
 public:
  Bench(const char* folder, transformer::Precision precision, const Runtime& runtime, inference::WriterLimits limits)
      : decoder_(gpt::open_decoder(folder, precision, runtime.gpu, runtime.threads)),
        tokenizer_(text::read_tokenizer(folder)),
        limits_(limits) {}

  // With a new writer, which knows no prompts of earlier calls.
  void write(const std::vector<Row>& rows) {
    inference::TextWriter writer(*decoder_, tokenizer_, {.max_new_tokens = 1 << 20, .ignore_eos = true}, {}, limits_);
    texts.assign(rows.size(), {});
    size_t next = 0;
    const auto start = std::chrono::steady_clock::now();
    const auto used = std::clock();
    writer.write(
        [&]() -> std::optional<inference::Prompt> {
          if (next == rows.size()) return std::nullopt;
          const auto& row = rows[next];
          return inference::Prompt{.row = int64_t(next++), .ids = row.prompt, .max_new_tokens = row.tokens};
        },
        [&](inference::Written written) -> std::optional<inference::Prompt> {
          texts[size_t(written.row)] = std::move(written.ids);
          return std::nullopt;
        });
    seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    cpu_seconds = double(std::clock() - used) / CLOCKS_PER_SEC;
    steps = writer.counts().steps;
  }

  // Of the last call.
  std::vector<std::vector<int32_t>> texts;
  double seconds = 0, cpu_seconds = 0;  // CPU: of all threads, less affected by other programs
  int64_t steps = 0;

 private:
  std::unique_ptr<gpt::Decoder> decoder_;
  text::Tokenizer tokenizer_;
  inference::WriterLimits limits_;
};

void print_texts(const std::vector<std::vector<int32_t>>& texts) {
  const char* separator = "";
  for (const auto& ids : texts) {
    fmt::print("{}[{}]", separator, fmt::join(ids, ", "));
    separator = ", ";
  }
}

void measure(Bench& bench, const std::vector<Row>& rows, int passes) {
  std::vector<double> seconds, cpu_seconds;
  for (int pass = 0; pass < passes; pass++) {
    bench.write(rows);
    seconds.push_back(bench.seconds);
    cpu_seconds.push_back(bench.cpu_seconds);
  }
  for (auto* times : {&seconds, &cpu_seconds}) std::ranges::nth_element(*times, times->begin() + passes / 2);
  fmt::print("{{\"seconds\": {:.6f}, \"cpu_seconds\": {:.6f}, \"steps\": {}, \"peak_mib\": {:.1f}, \"texts\": [",
             seconds[passes / 2], cpu_seconds[passes / 2], bench.steps, peak_resident_mib());
  print_texts(bench.texts);
  fmt::print("]}}\n");
}

int run(int argc, char** argv) {
  const auto precision = choice_of<transformer::Precision>(argv[2]);
  const int passes = std::atoi(argv[5]);
  const auto runtime = runtime_of(argv[3]);
  if (passes == 0) {
    fmt::print("{{\"peak_mib\": {:.1f}}}\n", peak_resident_mib());
    return 0;
  }
  inference::WriterLimits limits{.share_prefixes = argc < 9};
  if (argc > 7) limits.max_sequences = std::atoll(argv[6]);
  if (argc > 7) limits.cache_bytes = std::atoll(argv[7]) << 20;
  Bench bench(argv[1], precision, runtime, limits);
  bench.write({{.tokens = 4, .prompt = {1, 2, 3}}, {.tokens = 4, .prompt = {4, 5, 6}}});
  std::istringstream files(argv[4]);
  for (std::string file; std::getline(files, file, ',');) measure(bench, read_rows(file), passes);
  return 0;
}

}  // namespace

int main(int argc, char** argv) try {
  if (argc >= 6) return run(argc, argv);
  fmt::print(stderr, "usage: {} FOLDER fp32|tf32|bf16|int8 THREADS|cuda ROWS PASSES [SEQUENCES CACHE_MIB [unshared]]\n",
             argv[0]);
  return 2;
} catch (const std::exception& error) {
  fmt::print(stderr, "generate_bench: {}\n", error.what());
  return 1;
}
