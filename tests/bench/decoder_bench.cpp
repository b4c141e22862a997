// Speed and memory of decoding on the CPU.
//
//   decoder_bench make FOLDER                                       writes a model of the shape of GPT-2 (124 million)
//   decoder_bench FOLDER PRECISION THREADS BATCH PROMPT NEW [RUNS]
//
// Prints seconds of the prompts, tokens per second of the rest, and the peak memory. Tokens are chosen greedily.
#include <ATen/Parallel.h>
#include <fmt/format.h>
#include <sys/resource.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <numeric>
#include <string>
#include <vector>

#include "decoding/decode_attention.h"
#include "models/gpt/decoder.h"
#include "models/gpt/folder.h"

namespace sartor::gpt {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

void write_ids(cuda::Rows<float> logits, std::vector<int32_t>& ids) {
  for (int64_t r = 0; r < logits.rows; r++) {
    ids[r] = static_cast<int32_t>(std::max_element(logits.row(r), logits.row(r) + logits.columns) - logits.row(r));
  }
}

void measure(Decoder& decoder, int64_t batch, int64_t prompt, int64_t generated) {
  const int64_t blocks = (prompt + generated + cuda::cache_block - 1) / cuda::cache_block;
  decoder.allocate(batch * blocks);
  std::vector<std::vector<int32_t>> prompts(batch, std::vector<int32_t>(prompt)), tables(batch);
  std::vector<DecoderChunk> chunks;
  for (int64_t s = 0; s < batch; s++) {
    for (int64_t i = 0; i < prompt; i++) prompts[s][i] = static_cast<int32_t>((s * 7919 + i * 104729) % 50257);
    tables[s].resize(blocks);
    std::iota(tables[s].begin(), tables[s].end(), static_cast<int32_t>(s * blocks));
    chunks.push_back({.ids = prompts[s], .blocks = tables[s], .logits = 1});
  }
  std::vector<int32_t> ids(batch);
  auto start = Clock::now();
  write_ids(decoder.run(chunks), ids);
  const double of_prompts = seconds_since(start);
  start = Clock::now();
  for (int64_t i = 0; i < generated - 1; i++) {
    for (int64_t s = 0; s < batch; s++) {
      chunks[s] = {.slot = static_cast<int32_t>(s), .first = prompt + i, .blocks = tables[s], .logits = 1};
    }
    write_ids(decoder.run(chunks, ids.data()), ids);
  }
  const double rest = seconds_since(start);
  rusage usage;
  getrusage(RUSAGE_SELF, &usage);
  fmt::print("prompts {:.3f} s, {:.1f} tokens/s ({:.2f} ms per step), peak {} MiB\n", of_prompts,
             static_cast<double>(batch * (generated - 1)) / rest, 1e3 * rest / static_cast<double>(generated - 1),
             usage.ru_maxrss / 1024);
}

int run(int arguments, char** argument) {
  if (arguments == 3 && std::string(argument[1]) == "make") {
    save_gpt(Gpt(GptConfig()), argument[2]);
    return 0;
  }
  if (arguments < 7) return 2;
  const int threads = std::atoi(argument[3]);
  at::set_num_threads(threads);
  transformer::Precision precision = {};
  for (const auto& [name, choice] : choices(precision)) {
    if (name == argument[2]) precision = choice;
  }
  const auto decoder = open_decoder(argument[1], precision, -1, threads);
  for (int i = 0; i < (arguments > 7 ? std::atoi(argument[7]) : 3); i++) {
    measure(*decoder, std::atoi(argument[4]), std::atoi(argument[5]), std::atoi(argument[6]));
  }
  return 0;
}

}  // namespace
}  // namespace sartor::gpt

int main(int arguments, char** argument) { return sartor::gpt::run(arguments, argument); }
