// generate_bench FOLDER fp32|bf16|int8 THREADS ROWS PASSES [unshared]: writes texts with the generator in FOLDER, greedy,
// end tokens ignored. Each line of the file ROWS is a number of tokens to write and the ids of a prompt. Prints the
// median of PASSES after a short warm-up as one line of JSON. "unshared" computes common prefixes for each row. With
// PASSES 0 it ends before loading the model, to measure base memory.
// generate_bench bandwidth THREADS: GB/s of reading 1 GiB.
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <fstream>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

#include "core/parallel_for.h"
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

std::vector<Row> read_rows(const char* path) {
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

double seconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

class Bench {
 public:
  Bench(const char* folder, transformer::Precision precision, int threads, inference::WriterLimits limits)
      : decoder_(gpt::open_decoder(folder, precision, -1, threads)),
        tokenizer_(text::read_tokenizer(folder)),
        writer_(*decoder_, tokenizer_, {.max_new_tokens = 1 << 20, .ignore_eos = true}, {}, limits) {}

  std::vector<std::vector<int32_t>> write(const std::vector<Row>& rows) {
    std::vector<std::vector<int32_t>> texts(rows.size());
    size_t next = 0;
    writer_.write(
        [&]() -> std::optional<inference::Prompt> {
          if (next == rows.size()) return std::nullopt;
          const auto& row = rows[next];
          return inference::Prompt{.row = int64_t(next++), .ids = row.prompt, .max_new_tokens = row.tokens};
        },
        [&](inference::Written written) -> std::optional<inference::Prompt> {
          texts[size_t(written.row)] = std::move(written.ids);
          return std::nullopt;
        });
    return texts;
  }
  int64_t steps() const { return writer_.counts().steps; }

 private:
  std::unique_ptr<gpt::Decoder> decoder_;
  text::Tokenizer tokenizer_;
  inference::TextWriter writer_;
};

void print_texts(const std::vector<std::vector<int32_t>>& texts) {
  const char* separator = "";
  for (const auto& ids : texts) {
    fmt::print("{}[{}]", separator, fmt::join(ids, ", "));
    separator = ", ";
  }
}

double bandwidth(int threads) {
  const std::vector<uint64_t> numbers((size_t{1} << 30) / sizeof(uint64_t), 1);
  double best = 1e9;
  uint64_t sum = 0;
  for (int repeat = 0; repeat < 7; repeat++) {
    std::vector<uint64_t> sums(size_t(threads) * 8);  // each on a cache line of its own
    const auto start = std::chrono::steady_clock::now();
    cuda::parallel_for(threads, threads, 1, [&](int64_t thread, int64_t, int) {
      const size_t count = numbers.size() / size_t(threads);
      const uint64_t* part = numbers.data() + size_t(thread) * count;
      uint64_t lanes[16] = {};
      for (size_t i = 0; i + 16 <= count; i += 16) {
        for (size_t lane = 0; lane < 16; lane++) lanes[lane] += part[i + lane];
      }
      for (const auto lane : lanes) sums[size_t(thread) * 8] += lane;
    });
    best = std::min(best, seconds_since(start));
    for (const auto each : sums) sum += each;
  }
  if (sum == 0) std::abort();
  return double(size_t{1} << 30) / best / 1e9;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc == 3 && std::string_view(argv[1]) == "bandwidth") {
    fmt::print("{{\"gb_per_s\": {:.2f}}}\n", bandwidth(std::atoi(argv[2])));
    return 0;
  }
  if (argc < 6) {
    fmt::print(stderr, "usage: {0} FOLDER fp32|bf16|int8 THREADS ROWS PASSES [unshared]\n       {0} bandwidth THREADS\n",
               argv[0]);
    return 2;
  }
  const std::string_view name = argv[2];
  const auto precision = name == "int8"   ? transformer::Precision::int8
                         : name == "bf16" ? transformer::Precision::bf16
                                          : transformer::Precision::fp32;
  const auto rows = read_rows(argv[4]);
  std::vector<double> seconds;
  std::vector<std::vector<int32_t>> texts;
  int64_t steps = 0;
  if (std::atoi(argv[5]) > 0) {
    Bench bench(argv[1], precision, std::atoi(argv[3]),
                {.cache_bytes = int64_t{2} << 30, .share_prefixes = argc < 7 || std::string_view(argv[6]) != "unshared"});
    bench.write({{.tokens = 4, .prompt = {1, 2, 3}}, {.tokens = 4, .prompt = {4, 5, 6}}});
    for (int pass = 0; pass < std::atoi(argv[5]); pass++) {
      const int64_t before = bench.steps();
      const auto start = std::chrono::steady_clock::now();
      texts = bench.write(rows);
      seconds.push_back(seconds_since(start));
      steps = bench.steps() - before;
    }
    std::sort(seconds.begin(), seconds.end());
  }
  fmt::print("{{\"seconds\": {:.6f}, \"steps\": {}, \"peak_mib\": {:.1f}, \"texts\": [",
             seconds.empty() ? 0.0 : seconds[seconds.size() / 2], steps, peak_resident_mib());
  print_texts(texts);
  fmt::print("]}}\n");
}
