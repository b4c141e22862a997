// Speed, memory and logits of a decoder.
//
//   decoder_bench make FOLDER                                       writes a model of the shape of GPT-2 (124 million)
//   decoder_bench FOLDER PRECISION THREADS|cuda BATCH PROMPT NEW [RUNS]
//   decoder_bench logits FOLDER PRECISION THREADS|cuda ROWS OUTPUT
//
// Prints seconds of the prompts, tokens per second of the rest, and the peak memory. Tokens are chosen greedily.
// `logits` writes those of all tokens as fp32 to OUTPUT: each line of the file ROWS has the ids of a text, the last 4
// of which are decoded one by one, and the others at once.
#include <fmt/format.h>
#include <sys/resource.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <fstream>
#include <numeric>
#include <sstream>
#include <string>
#include <vector>

#include "bench/device.h"
#include "core/device_buffer.h"
#include "decoding/decode_attention.h"
#include "models/gpt/decoder.h"
#include "models/gpt/folder.h"

namespace sartor::gpt {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

// Waits for the device.
std::vector<float> on_host(Decoder& decoder, cuda::Rows<float> logits) {
  std::vector<float> values(logits.rows * logits.columns);
  decoder.context().backend().copy_out(values.data(), logits.data, values.size() * sizeof(float));
  return values;
}

void write_ids(Decoder& decoder, cuda::Rows<float> found, std::vector<int32_t>& ids) {
  const auto logits = on_host(decoder, found);
  for (int64_t r = 0; r < found.rows; r++) {
    const auto row = logits.begin() + r * found.columns;
    ids[r] = static_cast<int32_t>(std::max_element(row, row + found.columns) - row);
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
  write_ids(decoder, decoder.run(chunks), ids);
  const double of_prompts = seconds_since(start);
  cuda::DeviceBuffer<int32_t> last_ids(decoder.context(), std::span<const int32_t>(ids));
  start = Clock::now();
  for (int64_t i = 0; i < generated - 1; i++) {
    for (int64_t s = 0; s < batch; s++) {
      chunks[s] = {.slot = static_cast<int32_t>(s), .first = prompt + i, .blocks = tables[s], .logits = 1};
    }
    write_ids(decoder, decoder.run(chunks, last_ids.data()), ids);
    last_ids.write(ids);
  }
  const double rest = seconds_since(start);
  rusage usage;
  getrusage(RUSAGE_SELF, &usage);
  fmt::print("prompts {:.3f} s, {:.1f} tokens/s ({:.2f} ms per step), peak {} MiB\n", of_prompts,
             static_cast<double>(batch * (generated - 1)) / rest, 1e3 * rest / static_cast<double>(generated - 1),
             usage.ru_maxrss / 1024);
}

std::vector<std::vector<int32_t>> read_rows(const char* path) {
  std::ifstream file(path);
  std::vector<std::vector<int32_t>> rows;
  for (std::string line; std::getline(file, line);) {
    std::istringstream words(line);
    rows.emplace_back();
    for (int32_t id; words >> id;) rows.back().push_back(id);
  }
  return rows;
}

void write_logits(Decoder& decoder, const std::vector<std::vector<int32_t>>& rows, const char* path) {
  constexpr int64_t last = 4;
  std::vector<std::vector<int32_t>> tables;
  int32_t blocks = 0;
  for (const auto& row : rows) {
    require(std::ssize(row) > last, "a row has {} ids, expected more than {}", row.size(), last);
    tables.emplace_back((row.size() + cuda::cache_block - 1) / cuda::cache_block);
    std::iota(tables.back().begin(), tables.back().end(), blocks);
    blocks += static_cast<int32_t>(tables.back().size());
  }
  decoder.allocate(blocks);
  std::ofstream file(path, std::ios::binary);
  for (int64_t step = 0; step <= last; step++) {
    std::vector<DecoderChunk> chunks;
    for (size_t i = 0; i < rows.size(); i++) {
      const int64_t at_once = std::ssize(rows[i]) - last, first = step == 0 ? 0 : at_once + step - 1;
      const std::span ids(rows[i].begin() + first, step == 0 ? at_once : 1);
      chunks.push_back({.ids = ids, .first = first, .blocks = tables[i], .logits = std::ssize(ids)});
    }
    const auto logits = on_host(decoder, decoder.run(chunks));
    file.write(reinterpret_cast<const char*>(logits.data()), static_cast<std::streamsize>(logits.size() * 4));
  }
  require(file.flush().good(), "{}: cannot write", path);
}

int run(int arguments, char** argument) {
  const std::string first = arguments > 1 ? argument[1] : "";
  if (arguments == 3 && first == "make") {
    save_gpt(Gpt(GptConfig()), argument[2]);
    return 0;
  }
  if (arguments < 7) return 2;
  const bool logits = first == "logits";
  const auto runtime = runtime_of(argument[logits ? 4 : 3]);
  const auto precision = choice_of<transformer::Precision>(argument[logits ? 3 : 2]);
  const auto decoder = open_decoder(argument[logits ? 2 : 1], precision, runtime.gpu, runtime.threads);
  if (logits) {
    write_logits(*decoder, read_rows(argument[5]), argument[6]);
    return 0;
  }
  for (int i = 0; i < (arguments > 7 ? std::atoi(argument[7]) : 3); i++) {
    measure(*decoder, std::atoi(argument[4]), std::atoi(argument[5]), std::atoi(argument[6]));
  }
  return 0;
}

}  // namespace
}  // namespace sartor::gpt

int main(int arguments, char** argument) try {
  return sartor::gpt::run(arguments, argument);
} catch (const std::exception& error) {
  fmt::print(stderr, "decoder_bench: {}\n", error.what());
  return 1;
}
